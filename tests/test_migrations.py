"""The migrations: they build the models, can be undone, and take over the database of the original."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.lib.db import db
from app.models import User, UserRole
from support.actions import log_in
from support.app import ROOT, SECRET_KEY, UNLIMITED, migrate, serving
from support.mariadb_server import MariaDB

pytestmark = pytest.mark.programs

OF_THE_ORIGINAL = {"490681539ae8", "3a542da63280"}
VECTORS = json.loads((Path(__file__).parent / "vectors/flask_security_hashes.json").read_text())

# Several commands of Alembic in one process, which saves the time of its start.
ALEMBIC = "import sys, alembic.config as a; [a.main(command.split()) for command in sys.argv[1:]]"

# What the two migrations of the original made on MySQL.
ORIGINAL = """
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, PRIMARY KEY (version_num));
INSERT INTO alembic_version VALUES ('3a542da63280');
CREATE TABLE user (id INTEGER NOT NULL AUTO_INCREMENT, name VARCHAR(100), email VARCHAR(100), phone VARCHAR(30),
    active BOOL, created_on DATETIME, password VARCHAR(200),
    PRIMARY KEY (id), UNIQUE (email), UNIQUE (id), UNIQUE (phone));
CREATE TABLE role (id INTEGER NOT NULL AUTO_INCREMENT, created_on DATETIME, name VARCHAR(30), description VARCHAR(200),
    PRIMARY KEY (id), UNIQUE (id), UNIQUE (name));
CREATE TABLE user_role (id INTEGER NOT NULL AUTO_INCREMENT, created_on DATETIME, user_id INTEGER, role_id INTEGER,
    PRIMARY KEY (id), FOREIGN KEY(role_id) REFERENCES role (id), FOREIGN KEY(user_id) REFERENCES user (id), UNIQUE (id))
"""


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
    mariadb.execute(*ORIGINAL.split(";"), database="original")
    return uri


def test_migrations_build_the_models_and_go_back_and_forth(empty_uri: str, tmp_path: Path) -> None:
    commands = ("upgrade head", "check", "downgrade base", "upgrade head", "downgrade -1", "downgrade -1")

    printed = alembic(empty_uri, *commands, "upgrade head", "check", instance=tmp_path)

    assert printed.count("No new upgrade operations detected") == 2


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


def test_a_generated_revision_creates_and_drops_a_table(empty_uri: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(ROOT / "alembic", root / "alembic")
    shutil.copy(ROOT / "pyproject.toml", root)
    for newer in (root / "alembic/versions").glob("*.py"):
        if newer.name[:12] not in OF_THE_ORIGINAL:
            newer.unlink()

    generate = ("upgrade head", "revision --autogenerate -m Accounts", "upgrade head", "check", "downgrade -1")
    alembic(empty_uri, *generate, instance=tmp_path, root=root)

    assert len([*(root / "alembic/versions").glob("*_accounts.py")]) == 1


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
            for _ in ("with the old hash", "with the new one"):
                client = app.test_client()
                response = await log_in(client, email=f"user{n}@example.com", password=row["pw"])
                assert response.status_code == 303, row
    assert all(stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$") for (stored,) in passwords(mariadb))


def passwords(server: MariaDB) -> tuple[tuple[str], ...]:
    with server.connect("original") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT password FROM user")
        found: tuple[tuple[str], ...] = cursor.fetchall()
    return found


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

    async with serving(settings(original, tmp_path)) as app, app.app_context():
        users = await db.read(everybody)
        links = await db.read(links_of_roles)
    assert [(str(user), user.email_key, user.phone, user.active) for user in users] == [
        ("Ada <Ada@Example.com>", "ada@example.com", "1", True),
        ("Bob <bob>", "bob", "", False),
        ("mike@example.com", "mike@example.com", None, False),
    ]
    assert links == [(1, 1), (1, 2)]


async def everybody(session: AsyncSession) -> list[User]:
    return list(await session.scalars(select(User).order_by(User.id)))


async def links_of_roles(session: AsyncSession) -> list[tuple[int, int]]:
    found = await session.execute(select(UserRole.user_id, UserRole.role_id).order_by(UserRole.role_id))
    return [(user_id, role_id) for user_id, role_id in found]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("(1, ' ada@example.com'), (2, 'ada@example.com')", "users with the same e-mail address ada@example.com: 1, 2"),
        ("(7, NULL), (8, '')", "users without an e-mail address: 7, 8"),
    ],
)
def test_rows_that_cannot_be_carried_over_stop_the_migration(
    mariadb: MariaDB, original: str, tmp_path: Path, rows: str, message: str
) -> None:
    mariadb.execute(f"INSERT INTO user (id, email) VALUES {rows}", database="original")
    before = tables_of(mariadb, "original")

    stopped = migrate(original, instance=tmp_path)

    assert stopped.returncode != 0
    assert message in stopped.stderr + stopped.stdout
    assert "Traceback" not in stopped.stderr
    assert tables_of(mariadb, "original") == before


@pytest.mark.parametrize(
    "wrong", [{"QUART_SECRET_KEY": "short"}, {"QUART_SQLALCHEMY_DATABASE_URI": "mysql://nobody@127.0.0.1:1/x"}]
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


def test_the_embedded_database_can_be_read_by_its_owner_alone(tmp_path: Path) -> None:
    migrate("sqlite:///app.db", instance=tmp_path).check_returncode()

    assert (tmp_path / "app.db").stat().st_mode & 0o777 == 0o600
