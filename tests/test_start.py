"""What a process that serves does not load, and the revisions that it reads without Alembic."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import click
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from app.cli import COMMANDS, Commands
from app.services import schema
from conftest import ROOT, migrate
from test_run import environment, refusal, running

LOAD = """
import gc, json, sys
import run
print(json.dumps({"modules": sorted(sys.modules), "frozen": gc.get_freeze_count(), "collecting": gc.isenabled()}))
"""
# What only commands need, or what they load.
ONLY_FOR_COMMANDS = {
    *("alembic", "mako", "pygments", "sqlalchemy.dialects.postgresql"),  # migrations
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


def test_the_head_is_the_one_that_alembic_sees() -> None:
    scripts = ScriptDirectory.from_config(Config(ROOT / "alembic.ini"))

    assert schema.head_revision() == scripts.get_current_head()
    assert all(schema.is_known(script.revision) for script in scripts.walk_revisions())
    assert not schema.is_known("from_the_future")


def test_branches_are_refused_until_they_are_merged(tmp_path: Path) -> None:
    """As Alembic's own template writes them, which is not ours."""
    config = Config(tmp_path / "alembic.ini")
    command.init(config, str(tmp_path / "alembic"))
    config.set_main_option("script_location", str(tmp_path / "alembic"))
    versions = tmp_path / "alembic/versions"
    assert schema.head_of(schema.revisions_in(versions)) is None
    for revision, follows in (("a", "base"), ("b", "a"), ("c", "a")):
        command.revision(config, rev_id=revision, head=follows, splice=True)
    with pytest.raises(ValueError, match="several heads, b and c"):
        schema.head_of(schema.revisions_in(versions))

    command.merge(config, ["b", "c"], rev_id="d")

    assert schema.revisions_in(versions) == {"a": set(), "b": {"a"}, "c": {"a"}, "d": {"b", "c"}}
    assert schema.head_of(schema.revisions_in(versions)) == "d"


def test_an_upgrade_that_fails_says_why_in_one_line(tmp_path: Path) -> None:
    migrate("", "upgrade", "3a542da63280", instance=tmp_path).check_returncode()
    with closing(sqlite3.connect(tmp_path / "app.db")) as connection, connection:
        connection.execute("INSERT INTO user (id, email) VALUES (1, 'Ada@example.com'), (2, 'ada@example.com')")

    assert "Cannot start: users 1, 2 share the address ada@example.com" in refusal(tmp_path, "--upgrade")


RESIDENT = """
import re, run
from pathlib import Path
from app.services import passwords
def kilobytes():
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
before = kilobytes()
passwords.prepare(salt="")
print(kilobytes() - before)
"""


def test_what_the_first_hash_took_is_given_back_before_serving(tmp_path: Path) -> None:
    """It is 19 MiB in a thread that makes no other; each worker would keep them."""
    command = [sys.executable, "-c", RESIDENT]
    done = subprocess.run(command, cwd=ROOT, env=environment(tmp_path, {}), capture_output=True, text=True, check=True)

    assert int(done.stdout) < 10_000


@pytest.mark.parametrize(
    ("migration", "why"),
    [
        ("down_revision = None", "'revision'"),
        ("revision = 'a' + 'b'\ndown_revision = None", "malformed"),
        ("revision = = 'a'", "invalid syntax"),
    ],
)
def test_a_migration_that_cannot_be_read_is_named(tmp_path: Path, migration: str, why: str) -> None:
    (tmp_path / "ab.py").write_text(migration)

    with pytest.raises(ValueError, match=rf"^ab\.py .*{why}"):
        schema.revisions_in(tmp_path)


def test_files_that_alembic_leaves_alone_are_no_migrations(tmp_path: Path) -> None:
    for name in ("__init__.py", ".#ab.py"):
        (tmp_path / name).write_text("")

    assert schema.revisions_in(tmp_path) == {}


def test_an_upgrade_is_of_the_database_that_is_served_wherever_one_stands(tmp_path: Path) -> None:
    (tmp_path / "instance").mkdir()
    command = (sys.executable, str(ROOT / "run.py"))

    with running(tmp_path, "--upgrade", command=command, folder=tmp_path, INSTANCE_PATH="instance") as server:
        assert server.get("/readyz").status_code == 200
    assert (tmp_path / "instance/app.db").exists()
