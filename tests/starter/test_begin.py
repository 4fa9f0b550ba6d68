"""`make begin` turns a clone into a product whose checks pass, and later versions of the starter can be merged."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app import features
from app.cli import begin
from support.app import ROOT, copy_tree
from support.commands import QUART

UPGRADE = re.findall(r"```sh\n(.*?)```", (ROOT / "UPGRADING.md").read_text(), re.DOTALL)
ENVIRONMENT = {
    **{key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ},
    **{f"GIT_{actor}_{key}": "ada@example.com" for actor in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")},
    "PYTHONPATH": "src",
}
BEGIN = (sys.executable, "-m", "app.cli.begin", "--name=Book Shelf", "--languages=en fr", "--features")

# The tests that a new name, fewer languages or another README could break. test_removals.py runs the whole tier.
AFFECTED = ["architecture", "config", "demo_pages", "email_rendering", "pages", "translations"]
AFFECTED = [*(f"tests/test_{name}.py" for name in AFFECTED), "tests/starter"]


def run(folder: Path, *command: str) -> str:
    """Run a command, and return its output."""
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-9000:] + done.stderr
    return done.stdout


@pytest.mark.parametrize(("target", "argument"), [("begin", "NAME"), ("without", "FEATURE")])
def test_an_argument_of_make_is_no_shell_code(target: str, argument: str, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").symlink_to("/bin/echo")
    (tmp_path / "runs").write_text(f"{ROOT}\n")
    value = "Ada's \"Shop\"; echo code; '"

    printed = run(ROOT, "make", "--silent", f"VENV={tmp_path}", target, f"{argument}={value}")

    assert printed.endswith(f"{value}\n")
    assert printed.count("\n") == 1


@pytest.fixture
def starter(tmp_path: Path) -> Path:
    """Return a repository with the whole tree in one commit."""
    root = copy_tree(tmp_path / "starter")
    run(root, "git", "init", "--quiet")
    commit(root)
    return root


@pytest.fixture
def clone(starter: Path, tmp_path: Path) -> Path:
    run(tmp_path, "git", "clone", "--quiet", str(starter), "clone")
    if (cache := starter / ".mypy_cache").exists():
        shutil.copytree(cache, tmp_path / "clone/.mypy_cache")
    return tmp_path / "clone"


def commit(root: Path) -> None:
    run(root, "git", "add", "--all")
    run(root, "git", "commit", "--quiet", "--message=Next")


@pytest.mark.long
def test_a_clone_becomes_a_product_whose_checks_pass(clone: Path) -> None:
    assert "This is Book Shelf now." in run(clone, *BEGIN, "")
    assert "nothing was changed" in run(clone, *BEGIN, "")

    assert run(clone, "git", "rev-list", "--count", "HEAD") == "2\n"
    assert (run(clone, "git", "status", "--porcelain"), run(clone, "git", "remote")) == ("", "boilerplate\n")
    (origin,) = run(clone, "git", "grep", "-iI", "quart boilerplate").splitlines()
    assert origin.endswith("The authors of Quart Boilerplate, from which this was made")
    assert 'name = "book-shelf"' in (clone / "pyproject.toml").read_text()
    assert [path.name for path in (clone / "src/app/translations").iterdir()] == ["fr"]
    assert list((clone / "src/app/features").glob("*/__init__.py")) == []
    assert not (clone / "tests/starter/test_journeys_german.py").exists()
    for arguments in (("ruff", "check"), ("ruff", "format", "--check"), ("mypy",)):
        run(clone, sys.executable, "-m", *arguments)
    run(clone, sys.executable, "-m", "pytest", "--tier=check", "-q", "-n2", "-pno:cacheprovider", *AFFECTED)


@pytest.mark.long
def test_a_product_merges_the_next_version_of_the_starter(starter: Path, clone: Path) -> None:
    run(clone, *BEGIN, " ".join(features.NAMES))
    run(clone, QUART, "--app", "run", "new", "note", "title:str")
    commit(clone)
    for name in ("src/app/lib/clock.py", "README.md", "src/app/translations/de/LC_MESSAGES/messages.po"):
        with (starter / name).open("a") as file:
            file.write("# a later line\n")
    commit(starter)
    run(starter, "git", "tag", "v0.2")
    with (clone / "src/app/views/main_pages_bp.py").open("a") as file:
        file.write("# a line of the product\n")
    commit(clone)

    run(clone, "sh", "-c", "".join(UPGRADE[1:3]).replace("vX.Y", "v0.2"))

    assert run(clone, "git", "status", "--porcelain") == ""
    assert (clone / "src/app/lib/clock.py").read_text().endswith("# a later line\n")
    assert (clone / "README.md").read_text().startswith("# Book Shelf\n")
    assert not (clone / "src/app/translations/de").exists()
    assert (clone / "src/app/models/note.py").exists()


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        ("--name=", "NAME must begin with"),
        ('--name=Book "Shelf', "NAME must begin with"),
        ("--features=passkey", "FEATURES has unknown names: passkey. Known names:"),
        ("--languages=en xx", "LANGUAGES has unknown names: xx. Known names: en"),
        ("--languages=", "LANGUAGES must name en"),
        ("--license=MIT license", "LICENSE must be an SPDX identifier"),
    ],
)
def test_a_wrong_argument_is_named_and_nothing_changed(argument: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=re.escape(reason)):
        begin.main(["--name=Book Shelf", argument], root=tmp_path)


def test_a_package_has_a_name_in_ascii() -> None:
    names = {"Book Shelf": "book-shelf", "Bücher & Co.": "bucher-co", "本棚": "site", "A  b": "a-b"}

    assert {name: begin.package_name(name) for name in names} == names
