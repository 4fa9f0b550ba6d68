"""The migrations: they build the models, can be undone, and take over the database of the original."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from alembic.command import downgrade, upgrade
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import select

from app.lib.db import schema
from app.models import User, UserRole
from support.actions import log_in, scalars
from support.app import ROOT, SECRET_KEY, UNLIMITED, copy_project, migrate, serving
from support.mariadb_server import MariaDB
from support.original import ORIGINAL, ROWS

pytestmark = pytest.mark.programs

VECTORS = json.loads((Path(__file__).parent / "vectors/flask_security_hashes.json").read_text())

# Several commands of Alembic in one process, which saves the time of its start.
ALEMBIC = "import sys, alembic.config as a; [a.main(command.split()) for command in sys.argv[1:]]"

# A table that a developer adds.
SAMPLE = """

from sqlalchemy import LargeBinary, Text


class Sample(Base):
    __tablename__ = "sample"

    id: Mapped[int] = mapped_column(primary_key=True)
    picture: Mapped[bytes] = mapped_column(LargeBinary(2_000_000))
    caption: Mapped[str] = mapped_column(Text(50))
    {column}: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
"""


OWNED = """

from sqlalchemy import Index, UniqueConstraint


class Owned(Base):
    __tablename__ = "owned"
    __table_args__ = ({more}Base.__table_args__,)

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int]
    settings: Mapped[str] = mapped_column(String(50), server_default='{{"size":1}}')
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"){index})
"""
SHAPES = [
    OWNED.format(more="", index=", index=True"),
    OWNED.format(more="", index=", unique=True"),
    OWNED.format(more='Index(None, "user_id", "number"), ', index=""),
    OWNED.format(more='UniqueConstraint("user_id", "number"), ', index=""),
    OWNED.format(more="", index=", index=True"),
    "",  # the table is dropped
]


@pytest.fixture(params=["sqlite", "mariadb"])
def empty_uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/app.db"
    server: MariaDB = request.getfixturevalue("mariadb")
    return server.create_database("migrations")


def alembic(uri: str, *commands: str, instance: Path, root: Path = ROOT) -> str:
    """Run commands of Alembic one after the other, and return what they printed."""
    settings = {"QUART_SQLALCHEMY_DATABASE_URI": uri, "QUART_INSTANCE_PATH": str(instance)}
    command = [sys.executable, "-c", ALEMBIC, *commands]
    done = subprocess.run(
        command, cwd=root, env={**os.environ, **settings}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def original(mariadb: MariaDB) -> str:
    """Return the URL of a database as the original left it."""
    uri = mariadb.create_database("original")
    mariadb.execute(*ORIGINAL, database="original")
    return uri


def test_migrations_build_the_models_and_go_back_and_forth(empty_uri: str, tmp_path: Path) -> None:
    commands = ("upgrade head", "check", "downgrade base", "upgrade head", "downgrade -1", "downgrade -1")

    printed = alembic(empty_uri, *commands, "upgrade head", "check", instance=tmp_path)

    assert printed.count("No new upgrade operations detected") == 2


def test_each_migration_is_written_as_a_script_or_refuses_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUART_SECRET_KEY", SECRET_KEY)
    monkeypatch.setenv("QUART_INSTANCE_PATH", str(tmp_path))
    config = Config(toml_file=schema.PYPROJECT, stdout=StringIO())
    refused = []
    for script in ScriptDirectory.from_config(config).walk_revisions():
        before = script.down_revision or "base"
        for write, span in ((upgrade, f"{before}:{script.revision}"), (downgrade, f"{script.revision}:{before}")):
            try:
                write(config, span, sql=True)
            except CommandError as error:
                refused.append(f"{script.revision}: {error}")

    assert "7c1f0e5b2a94: This migration inspects the database, so run the command without --sql." in refused


def test_our_first_two_revisions_make_the_originals_schema(mariadb: MariaDB, original: str, tmp_path: Path) -> None:
    ours = mariadb.create_database("ours")
    alembic(ours, "upgrade 3a542da63280", instance=tmp_path)

    assert tables_of(mariadb, "ours") == tables_of(mariadb, "original")


def tables_of(server: MariaDB, database: str) -> dict[str, set[str]]:
    """Return the lines of every table's definition, in any order: columns, keys and constraints."""
    found = {}
    with server.connect(database) as connection, connection.cursor() as cursor:
        for table in ("user", "role", "user_role"):
            cursor.execute(f"SHOW CREATE TABLE `{table}`")
            ((_, definition),) = cursor.fetchall()
            found[table] = {line.strip(" ,") for line in definition.split("\n")}
    return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a copy of the project, whose models may be changed."""
    return copy_project(tmp_path / "root")


def test_generated_revisions_create_a_table_and_rename_its_foreign_key_and_go_back(
    empty_uri: str, tmp_path: Path, root: Path
) -> None:
    models = root / "src/app/models/user_event.py"
    code = models.read_text()

    for column in ("user_id", "author_id"):
        models.write_text(code + SAMPLE.format(column=column))
        commands = ("upgrade head", f"revision --autogenerate -m {column}", "upgrade head", "check")
        alembic(empty_uri, *commands, instance=tmp_path, root=root)
    alembic(empty_uri, "downgrade -2", instance=tmp_path, root=root)


@pytest.mark.parametrize("shapes", [SHAPES, SHAPES[::-1]], ids=["forwards", "backwards"])
def test_generated_revisions_replace_the_index_of_a_foreign_key_and_go_back(
    empty_uri: str, tmp_path: Path, root: Path, shapes: list[str]
) -> None:
    models = root / "src/app/models/user_event.py"
    code = models.read_text()

    for number, shape in enumerate(shapes):
        models.write_text(code + shape)
        commands = ("upgrade head", f"revision --autogenerate -m shape{number}", "upgrade head", "check")
        alembic(empty_uri, *commands, instance=tmp_path, root=root)
    alembic(empty_uri, f"downgrade -{len(shapes)}", instance=tmp_path, root=root)


def test_a_generated_revision_of_user_changes_nothing_else_on_sqlite(tmp_path: Path, root: Path) -> None:
    alembic(SQLITE, "upgrade head", instance=tmp_path, root=root)
    model = root / "src/app/models/user.py"
    model.write_text(model.read_text().replace("LANGUAGE_LENGTH = 20", "LANGUAGE_LENGTH = 25"))
    with closing(sqlite3.connect(tmp_path / "app.db", isolation_level=None)) as connection:
        query = connection.execute
        query("INSERT INTO user (id, email, email_key, active) VALUES (1, 'a', 'a', 1), (7, 'b', 'b', 1)")
        query("DELETE FROM user WHERE id = 7")
        query("CREATE TRIGGER keep BEFORE DELETE ON user BEGIN SELECT RAISE(ABORT, 'no'); END")
        before = [line.replace("(20)", "(25)") for line in definition_of_user(connection)]

        alembic(SQLITE, "revision --autogenerate -m longer", "upgrade head", "check", instance=tmp_path, root=root)

        assert definition_of_user(connection) == before
        assert query("INSERT INTO user (email, email_key, active) VALUES ('c', 'c', 1)").lastrowid == 8
        (revision,) = (root / "alembic/versions").glob("*_longer.py")
        revision.write_text(
            revision.read_text().replace("    # ###", '    op.execute("DROP TRIGGER keep")\n    # ###', 2)
        )
        alembic(SQLITE, "downgrade -1", instance=tmp_path, root=root)


def definition_of_user(connection: sqlite3.Connection) -> list[str]:
    """Return the lines of the table and its triggers: a batch migration creates constraints in any order."""
    definitions = connection.execute("SELECT sql FROM sqlite_master WHERE tbl_name = 'user' AND sql > ''")
    return sorted(line.strip(" ,") for (definition,) in definitions for line in definition.splitlines())


@pytest.mark.real_hashes
async def test_every_user_of_the_original_logs_in_with_the_old_password(
    mariadb: MariaDB, original: str, tmp_path: Path
) -> None:
    rows = VECTORS["rows"]
    users = [f"({n}, 'user{n}@example.com', 1, {mariadb.quote(row['hash'])})" for n, row in enumerate(rows, start=1)]
    mariadb.execute(f"INSERT INTO user (id, email, active, password) VALUES {', '.join(users)}", database="original")
    migrate(original, instance=tmp_path).check_returncode()

    # Also where e-mail addresses have to be confirmed from now on.
    async with serving(settings(original, tmp_path) | {"SECURITY_CONFIRMABLE": True}) as app:
        for n, row in enumerate(rows, start=1):
            response = await log_in(app.test_client(), email=f"user{n}@example.com", password=row["pw"])
            assert response.status_code == 303, row
        hashes = await scalars(app, select(User.password))
    assert all(stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$") for stored in hashes)


def settings(uri: str, instance: Path) -> dict[str, Any]:
    needed = {"SQLALCHEMY_DATABASE_URI": uri, "SECRET_KEY": SECRET_KEY, "INSTANCE_PATH": str(instance)}
    return needed | {"SECURITY_PASSWORD_SALT": VECTORS["salt"]} | UNLIMITED


async def test_the_rows_of_the_original_are_kept(mariadb: MariaDB, original: str, tmp_path: Path) -> None:
    mariadb.execute(
        "INSERT INTO user (id, name, email, phone, active) VALUES"
        " (1, 'Ada', 'Ada@Example.com', '1', 1), (2, 'Bob', 'bob', '', NULL), (3, NULL, 'mike@example.com', NULL, 0)",
        "INSERT INTO role (id, name) VALUES (1, 'admin'), (2, 'editor')",
        "INSERT INTO user_role (user_id, role_id) VALUES (1, 1), (1, 1), (1, 2), (NULL, 1), (2, NULL)",
        database="original",
    )
    migrate(original, instance=tmp_path).check_returncode()

    async with serving(settings(original, tmp_path)) as app:
        users = await scalars(app, select(User).order_by(User.id))
        links = await scalars(app, select(UserRole).order_by(UserRole.role_id))
    assert [(str(user), user.email_key, user.active) for user in users] == [
        ("Ada <Ada@Example.com>", "ada@example.com", True),
        ("Bob <bob>", "bob", False),
        ("mike@example.com", "mike@example.com", False),
    ]
    assert [(link.user_id, link.role_id) for link in links] == [(1, 1), (1, 2)]


def test_rows_that_cannot_be_carried_over_stop_the_migration(mariadb: MariaDB, original: str, tmp_path: Path) -> None:
    rows = "(1, ' ada@example.com'), (2, 'ada@example.com'), (7, NULL), (8, '')"
    mariadb.execute(f"INSERT INTO user (id, email) VALUES {rows}", database="original")
    before = tables_of(mariadb, "original")

    stopped = migrate(original, instance=tmp_path)

    assert stopped.returncode != 0
    printed = stopped.stdout + stopped.stderr
    assert "users with the same e-mail address ada@example.com: 1, 2" in printed
    assert "users without an e-mail address: 7, 8" in printed
    assert "Traceback" not in printed
    assert tables_of(mariadb, "original") == before


@pytest.mark.parametrize(
    "wrong", [{"QUART_SECRET_KEY": "short"}, {"QUART_SQLALCHEMY_DATABASE_URI": "mysql://root@127.0.0.1:1/x"}]
)
def test_a_migration_that_cannot_run_fails_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, str]
) -> None:
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)

    stopped = migrate(wrong.get("QUART_SQLALCHEMY_DATABASE_URI", "sqlite:///app.db"), instance=tmp_path)

    assert stopped.returncode != 0
    assert "FAILED: " in stopped.stdout + stopped.stderr
    assert "Traceback" not in stopped.stderr


# An original installation on SQLite, where the constraints have no names

SQLITE = "sqlite:///app.db"
USERS = "SELECT user.id, email, active, password, role_id FROM user LEFT JOIN user_role ON user_id = user.id"


@pytest.fixture
def original_on_sqlite(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "app.db", isolation_level=None)) as connection:
        connection.executescript(";".join([*ORIGINAL, *ROWS]).replace("AUTO_INCREMENT", ""))
        yield connection


def test_constraints_without_a_name_are_replaced(original_on_sqlite: sqlite3.Connection, tmp_path: Path) -> None:
    before = original_on_sqlite.execute(USERS).fetchall()

    alembic(SQLITE, "upgrade head", "check", "downgrade 3a542da63280", "upgrade head", "check", instance=tmp_path)

    assert original_on_sqlite.execute(USERS).fetchall() == before


def test_rows_of_deleted_users_stop_the_upgrade(original_on_sqlite: sqlite3.Connection, tmp_path: Path) -> None:
    original_on_sqlite.execute("DELETE FROM user WHERE id = 2")

    stopped = migrate(SQLITE, instance=tmp_path)

    assert "rows of user_role whose user or role does not exist: 1. Fix these rows" in stopped.stdout + stopped.stderr
    version = original_on_sqlite.execute("SELECT version_num FROM alembic_version")
    assert version.fetchone() == ("3a542da63280",)


def test_an_upgrade_keeps_views_and_triggers_and_never_reuses_an_id(
    original_on_sqlite: sqlite3.Connection, tmp_path: Path
) -> None:
    query = original_on_sqlite.execute
    query("CREATE VIEW emails AS SELECT id, email FROM user")
    query("UPDATE user SET name = 'Ada'")
    query("CREATE TRIGGER no_name AFTER UPDATE ON user BEGIN UPDATE user SET name = NULL; END")

    alembic(SQLITE, "upgrade head", "check", instance=tmp_path)

    assert query("SELECT DISTINCT name FROM user").fetchall() == [("Ada",)]
    query("UPDATE user SET name = 'Bob' WHERE id = 1")
    assert query("SELECT name FROM user WHERE id = 1").fetchone() == (None,)
    assert query("SELECT count(*) FROM emails").fetchone() == (2,)
    autoincrement = query("SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'").fetchall()
    assert {("user",), ("user_token",), ("mail",)} <= set(autoincrement)


def test_the_embedded_database_can_be_read_by_its_owner_alone(sqlite_template: Path) -> None:
    assert sqlite_template.stat().st_mode & 0o777 == 0o600
