"""The start of run.py: the modules that it loads, and the migrations that it reads."""

import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from app.cli import COMMANDS
from support.app import ROOT, copy_project, migrate
from support.server_process import environment, refusal, running
from support.site_process import running_copy

pytestmark = pytest.mark.programs

LOAD = """
import gc, json, sys
import run
print(json.dumps({"modules": sorted(sys.modules), "frozen": gc.get_freeze_count(), "collecting": gc.isenabled()}))
"""
ONLY_FOR_COMMANDS = {
    *("IPython", "babel.messages.extract", "babel.messages.pofile"),
    *("app.cli.deployment_checks", *(f"app.cli.{name}" for name in COMMANDS), "app.cli.shell"),
}


def python(folder: Path, *arguments: str, root: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    """Run Python in the project, in an interpreter of its own."""
    env = environment(folder, {}) | {"PYTHONPATH": str(root / "src")}
    return subprocess.run([sys.executable, *arguments], cwd=root, env=env, capture_output=True, text=True, check=False)


def test_a_process_that_serves_loads_nothing_that_only_commands_need(tmp_path: Path) -> None:
    loaded = json.loads(python(tmp_path, "-c", LOAD).stdout)

    assert ONLY_FOR_COMMANDS & set(loaded["modules"]) == set()
    assert loaded["collecting"]
    assert loaded["frozen"] > 50_000  # the garbage collector skips the imported modules
    imports = "\n".join(f"import {name}" for name in sorted(ONLY_FOR_COMMANDS))
    python(tmp_path, "-c", imports).check_returncode()  # the names above exist


def test_help_lists_every_command(tmp_path: Path) -> None:
    done = python(tmp_path, str(Path(sys.executable).with_name("quart")), "--app", "run", "--help")

    listed = {line.split()[0] for line in done.stdout.partition("Commands:")[2].splitlines() if line.strip()}
    assert listed >= {*COMMANDS, "shell", "routes"}


def test_an_upgrade_that_fails_prints_the_reason_in_one_line(tmp_path: Path) -> None:
    migrate("", "upgrade", "3a542da63280", instance=tmp_path).check_returncode()
    with closing(sqlite3.connect(tmp_path / "app.db")) as connection, connection:
        connection.execute("INSERT INTO user (id, email) VALUES (1, 'Ada@example.com'), (2, 'ada@example.com')")

    assert "Cannot start: users with the same e-mail address ada@example.com: 1, 2" in refusal(tmp_path, "--upgrade")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the project, in a folder whose name is special to configparser."""
    return copy_project(tmp_path / "100% of %(here)s")


def test_a_broken_migration_stops_the_start_in_one_line(copy: Path) -> None:
    for migration, reason in (
        ("revision = = 'ab'", r"SyntaxError: invalid syntax \(ab.py, line 1\)"),
        ("from app.models import Missing", "ImportError: cannot import name 'Missing'"),
        ("revision, down_revision = 'ab', 'cd'", "Revision cd referenced from cd -> ab .* is not present"),
        ("revision, down_revision = 'ab', '3a542da63280'", r"several heads, \w+ and \w+: run `alembic merge"),
    ):
        (copy / "alembic/versions/ab.py").write_text(migration)
        done = python(copy, "run.py", root=copy)
        assert (done.returncode, done.stdout) == (1, "")
        assert re.fullmatch(f"Cannot start: alembic/versions .*{reason}.*\n", done.stderr)


def test_the_name_of_the_folder_may_contain_a_percent_character(copy: Path) -> None:
    with running_copy(copy, copy) as site:
        assert httpx.get(f"{site.url}/readyz").status_code == 200

    assert "No new upgrade operations" in migrate("sqlite:///app.db", "check", instance=copy, root=copy).stdout


def test_an_upgrade_in_another_folder_is_of_the_database_that_is_served(tmp_path: Path) -> None:
    (tmp_path / "instance").mkdir()
    command = (sys.executable, str(ROOT / "run.py"))

    with running(tmp_path, "--upgrade", command=command, folder=tmp_path, INSTANCE_PATH="instance") as server:
        assert server.get("/readyz").status_code == 200
    assert (tmp_path / "instance/app.db").exists()


def test_the_folder_that_runs_is_the_folder_that_is_served(copy: Path, tmp_path: Path) -> None:
    env = environment(tmp_path, {})
    env.pop("PYTHONPATH", None)

    def call(*command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(command, cwd=copy, env=env, capture_output=True, text=True, check=False)

    done = call(sys.executable, "-c", "import run; from app import app_factory; print(app_factory.__file__)")
    assert (done.stdout.strip(), done.stderr) == (str(copy / "src/app/app_factory.py"), "")
    # The command imports its plugins before run.py, from the folder where the environment was made.
    done = call(str(Path(sys.executable).with_name("quart")), "--app", "run", "roles", "list")
    assert done.returncode == 1
    assert f"the package app of another folder is installed. Run `make` in {copy}." in done.stderr
