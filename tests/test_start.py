"""The start of run.py: the modules that it loads, and the migrations that it reads."""

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import click
import httpx
import pytest

from app.cli import COMMANDS, Commands
from conftest import ROOT, migrate
from site_process import running_copy
from test_run import environment, refusal, running

LOAD = """
import gc, json, sys
import run
print(json.dumps({"modules": sorted(sys.modules), "frozen": gc.get_freeze_count(), "collecting": gc.isenabled()}))
"""
# What only commands need, or what they load.
ONLY_FOR_COMMANDS = {
    *("IPython", "babel.messages.extract", "babel.messages.pofile"),  # the shell, translations
    *("app.deployment", *(f"app.cli.{name}" for name in COMMANDS), "app.cli.shell"),
}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str] | int | bool]:
    """Import run.py in an interpreter of its own."""
    env = environment(tmp_path_factory.mktemp("site"), {})
    done = subprocess.run([sys.executable, "-c", LOAD], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    found: dict[str, list[str] | int | bool] = json.loads(done.stdout)
    return found


def test_a_process_that_serves_loads_nothing_that_only_commands_need(loaded: dict[str, list[str]]) -> None:
    assert ONLY_FOR_COMMANDS & set(loaded["modules"]) == set()


def test_what_only_commands_need_has_the_names_that_we_think(tmp_path: Path) -> None:
    """Else nobody would notice when it is loaded under another name."""
    everything = "\n".join(f"import {name}" for name in sorted(ONLY_FOR_COMMANDS))

    subprocess.run([sys.executable, "-c", everything], cwd=ROOT, env=environment(tmp_path, {}), check=True)


def test_garbage_collection_skips_the_imported_modules(loaded: dict[str, int]) -> None:
    assert loaded["collecting"]
    assert loaded["frozen"] > 50_000


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_found_by_its_name(name: str) -> None:
    commands = Commands("app")
    found = commands.get_command(click.Context(commands), name)

    assert found is not None
    assert found.name == name


def test_help_lists_every_command(tmp_path: Path) -> None:
    quart = [str(Path(sys.executable).with_name("quart")), "--app", "run", "--help"]
    done = subprocess.run(quart, cwd=ROOT, env=environment(tmp_path, {}), capture_output=True, text=True, check=True)

    listed = {line.split()[0] for line in done.stdout.partition("Commands:")[2].splitlines() if line.strip()}
    assert listed >= {*COMMANDS, "shell", "routes"}


def test_an_upgrade_that_fails_says_why_in_one_line(tmp_path: Path) -> None:
    migrate("", "upgrade", "3a542da63280", instance=tmp_path).check_returncode()
    with closing(sqlite3.connect(tmp_path / "app.db")) as connection, connection:
        connection.execute("INSERT INTO user (id, email) VALUES (1, 'Ada@example.com'), (2, 'ada@example.com')")

    assert "Cannot start: users 1, 2 share the address ada@example.com" in refusal(tmp_path, "--upgrade")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the project, in a folder whose name is special to configparser."""
    root = tmp_path / "100% of %(here)s"
    for name in ("src", "alembic"):
        shutil.copytree(ROOT / name, root / name)
    for name in ("run.py", "pyproject.toml"):
        shutil.copy(ROOT / name, root)
    return root


def refusal_of(root: Path) -> str:
    """Return what run.py prints when it does not start."""
    env = environment(root, {}) | {"PYTHONPATH": str(root / "src")}
    done = subprocess.run([sys.executable, "run.py"], cwd=root, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    return done.stderr


@pytest.mark.parametrize(
    ("migration", "reason"),
    [
        ("revision = = 'ab'", r"SyntaxError: invalid syntax \(ab.py, line 1\)"),
        ("from app.models import Missing", "ImportError: cannot import name 'Missing'"),
        ("revision, down_revision = 'ab', 'cd'", "Revision cd referenced from cd -> ab .* is not present"),
        ("revision, down_revision = 'ab', '3a542da63280'", "several heads, a92e5f17c3d4 and ab: run `alembic merge"),
    ],
)
def test_a_broken_migration_stops_the_start_in_one_line(copy: Path, migration: str, reason: str) -> None:
    (copy / "alembic/versions/ab.py").write_text(migration)

    assert re.fullmatch(f"Cannot start: alembic/versions .*{reason}.*\n", refusal_of(copy))


def test_a_percent_sign_in_the_name_of_the_folder_does_no_harm(copy: Path) -> None:
    with running_copy(copy, copy) as site:
        assert httpx.get(f"{site.url}/readyz").status_code == 200

    assert "No new upgrade operations" in migrate("sqlite:///app.db", "check", instance=copy, root=copy).stdout


def test_an_upgrade_is_of_the_database_that_is_served_wherever_one_stands(tmp_path: Path) -> None:
    (tmp_path / "instance").mkdir()
    command = (sys.executable, str(ROOT / "run.py"))

    with running(tmp_path, "--upgrade", command=command, folder=tmp_path, INSTANCE_PATH="instance") as server:
        assert server.get("/readyz").status_code == 200
    assert (tmp_path / "instance/app.db").exists()
