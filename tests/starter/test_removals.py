"""Removing parts breaks no remaining test: the steps of a how-to guide, then all features, in a copy."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app import features
from support.app import ROOT, copy_tree

GUIDE = (ROOT / "docs/how-to/remove-a-part.md").read_text()
BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
CHECKS = ".venv/bin/ruff check\n.venv/bin/ruff format --check\n.venv/bin/mypy\n"
PYTEST = ".venv/bin/pytest -q --tier check -n 2 --dist loadfile -p no:cacheprovider"


def run(copy: Path, script: str) -> None:
    """Run commands in the copy, with the programs of this environment."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": "src", "QUART_INSTANCE_PATH": str(copy.parent)}
    script = script.replace(".venv/bin/", f"{sys.executable} -m ")
    done = subprocess.run(["sh", "-ec", script], cwd=copy, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"


@pytest.mark.long
def test_after_all_removals_the_checks_pass(tmp_path: Path) -> None:
    copy = copy_tree(tmp_path / "copy")
    before, *parts = GUIDE.split("\n## ")
    *removals, last = [BLOCK.findall(part) for part in parts]
    assert (before.count("```"), last.pop(), len(removals)) == (0, "make check\n", 3)

    for part in [*removals, last]:
        run(copy, "".join(part) + CHECKS)
    run(copy, f"{PYTEST} src/app/features")

    run(copy, ".venv/bin/alembic downgrade 7c1f0e5b2a94\n")
    run(copy, "".join(f".venv/bin/app.cli.remove_feature {name}\n" for name in features.NAMES) + CHECKS)
    run(copy, PYTEST)
