"""Prepare the files of the image: delete files that the site never reads, and compile the modules that it imports."""

import subprocess
import sys
from pathlib import Path

import babel

# Babel's data of languages for which there is no catalog: 30 MB.
languages = {"root", "en", *(folder.name.partition("_")[0] for folder in Path("src/app/translations").iterdir())}
for file in (Path(babel.__file__).parent / "locale-data").glob("*.dat"):
    if file.stem.partition("_")[0] not in languages:
        file.unlink()

# Python cannot write bytecode later, because the file system is read-only. So compile the modules that these commands
# import.
for command in (["run.py", "--help"], ["-m", "alembic", "heads"]):
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)  # noqa: S603 # our own
