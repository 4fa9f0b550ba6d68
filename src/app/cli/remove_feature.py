"""`make without FEATURE=second_factor`: delete a feature from the source tree.

The command deletes the folder, the migration, the page in docs/features/, the messages, and the dependencies that only
the feature needs. It removes the name from FEATURES, and links the later migrations to the earlier ones.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from alembic.script import ScriptDirectory

from app.lib.settings.loader import ROOT

REVISION = re.compile(r'^(down_)?revision = "(\w+)"$', re.MULTILINE)
REVISION_ID = "[0-9a-f]" * 12  # the beginning of the file name of a migration
LINKING_FILES = ("alembic/versions/*.py", "docs/**/*.md", "README.md")


def main(root: Path, name: str) -> None:
    """Delete a feature. Raises SystemExit if no feature has this name, or the database has its tables."""
    folder = root / "src/app/features" / name
    if not re.fullmatch(r"\w+", name) or not folder.is_dir():
        sys.exit(f"There is no feature {name!r}. Features: {', '.join(names(root)) or 'none'}")
    check_database(root, name)
    remove_migrations(root, name)
    shutil.rmtree(folder)
    remove_documentation(root, name)
    remove_from_settings(root / "src/app/default_config.py", name)
    remove_dependencies(root / "pyproject.toml", name)
    environment = os.environ | {"QUART_FEATURES": ""}  # application.cfg.py may name the feature
    for command in ("update", "compile"):
        quart = [str(Path(sys.executable).with_name("quart")), "--app", "run", "translations", command]
        subprocess.run(quart, cwd=root, env=environment, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 # our own
    print(f"Deleted {name}. Run `make lock`, then `make check`.")  # noqa: T201 # a command


def names(root: Path) -> list[str]:
    """Return the names of the features."""
    return sorted(path.parent.name for path in (root / "src/app/features").glob("*/__init__.py"))


def check_database(root: Path, name: str) -> None:
    """Raise SystemExit if the database of the settings has the tables of a feature, or cannot be reached.

    Without the migration, Alembic could not find the revision of that database.
    """
    if not (migrations := migrations_of(root, name)):
        return
    command = [sys.executable, "-B", "-m", "alembic", "current"]  # -B: no compiled migrations stay behind
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)  # noqa: S603 # our own command
    if done.returncode:
        reason = (done.stderr or done.stdout).strip().rpartition("\n")[2]
        sys.exit(f"Cannot find out whether the database has the tables of {name}: {reason}")
    if not (current := done.stdout.partition(" ")[0].strip()):
        return  # the database is empty
    applied = {each.revision for each in ScriptDirectory(str(root / "alembic")).iterate_revisions(current, "base")}
    for migration in migrations:
        revisions = dict(REVISION.findall(migration.read_text()))
        if revisions[""] in applied:
            before = revisions["down_"]
            sys.exit(f"The database has the tables of {name}: run `.venv/bin/alembic downgrade {before}` first.")


def migrations_of(root: Path, name: str) -> list[Path]:
    """Return the migrations of a feature. A feature without models has none, even if a file has its name."""
    if not (root / "src/app/features" / name / "models.py").exists():
        return []
    return sorted((root / "alembic/versions").glob(f"{REVISION_ID}_{name}.py"))


def remove_migrations(root: Path, name: str) -> None:
    """Delete the migrations of a feature, and link the later migrations to the earlier ones."""
    for migration in migrations_of(root, name):
        revisions = dict(REVISION.findall(migration.read_text()))
        migration.unlink()
        for path in linking_files(root):
            replace(path, revisions[""], revisions["down_"])


def remove_documentation(root: Path, name: str) -> None:
    """Delete the page of a feature, the lines that link to it, and its name in the table of extension points."""
    page = f"features/{name}.md"
    (root / "docs" / page).unlink(missing_ok=True)
    for path in linking_files(root):
        met = rf"\| met[^|\n]*{re.escape(page)}[^|\n]*\|"  # a row of docs/reference/asvs.md stays
        text = re.sub(met, f"| open: the feature {name} was deleted |", path.read_text())
        path.write_text("".join(line for line in text.splitlines(keepends=True) if page not in line))
    path = root / "docs/explanation/features.md"
    if path.exists():
        users = re.compile(rf"\b{name}, |, {name}\b|(?<=\| ){name}(?= \|)")  # the last cell may become empty
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(users.sub("", line) if line.startswith("|") else line for line in lines))


def linking_files(root: Path) -> Iterator[Path]:
    return (path for pattern in LINKING_FILES for path in root.glob(pattern))


def remove_from_settings(path: Path, name: str) -> None:
    match = re.search(r"^FEATURES: .* = \((.*)\)$", path.read_text(), re.MULTILINE)
    if match:
        words = [word for word in re.findall(r'"\w+"', match[1]) if word != f'"{name}"']
        replace(path, f"({match[1]})", f"({', '.join(words)}{',' if len(words) == 1 else ''})")


def remove_dependencies(path: Path, name: str) -> None:
    """Delete the lines of the dependencies whose comment names only this feature."""
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if f"# features/{name}:" not in line))


def replace(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))


if __name__ == "__main__":
    if Path.cwd() != ROOT:  # the package of another folder is installed here
        sys.exit(f"This command changes {ROOT}. Run it there.")
    main(ROOT, " ".join(sys.argv[1:]))
