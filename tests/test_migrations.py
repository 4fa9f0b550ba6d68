"""The migrations: they build the models, go back, and take over the original's database."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import User, UserRole, db
from app.services import schema
from conftest import ROOT, SECRET_KEY, UNTHROTTLED, migrate, serving
from mariadb_server import MariaDB
from people import log_in

BEFORE_THROTTLE = {"490681539ae8", "3a542da63280", "7c1f0e5b2a94", "b3d92c61f8e0"}
VECTORS = json.loads((Path(__file__).parent / "vectors/flask_security_hashes.json").read_text())

# What the original's two migrations made on MySQL.
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
    """The address of a database in which there is nothing."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/app.db"
    server: MariaDB = request.getfixturevalue("mariadb")
    return server.create_database("migrations")


@pytest.fixture
def original(mariadb: MariaDB) -> str:
    """The address of a database as the original left it."""
    uri = mariadb.create_database("original")
    mariadb.execute(*ORIGINAL.split(";"), database="original")
    return uri


def test_migrations_build_the_models(empty_uri: str, tmp_path: Path) -> None:
    migrate(empty_uri, instance=tmp_path).check_returncode()

    checked = migrate(empty_uri, "check", instance=tmp_path)

    assert "No new upgrade operations detected" in checked.stdout, checked.stdout + checked.stderr


def test_migrations_go_back_and_forth(empty_uri: str, tmp_path: Path) -> None:
    for command in ("upgrade head", "downgrade base", "upgrade head", "downgrade -1", "downgrade -1", "upgrade head"):
        done = migrate(empty_uri, *command.split(), instance=tmp_path)
        assert done.returncode == 0, done.stderr

    assert migrate(empty_uri, "check", instance=tmp_path).returncode == 0


def test_a_language_comes_and_goes_without_the_rows(empty_uri: str, tmp_path: Path) -> None:
    def alembic(*command: str) -> None:
        done = migrate(empty_uri, *command, instance=tmp_path)
        assert done.returncode == 0, done.stderr

    alembic("upgrade", "f4c8b2d91e07")
    with engine_of(empty_uri).begin() as connection:
        for statement in ROWS:
            connection.exec_driver_sql(statement)
    before = rows_of(empty_uri)

    alembic("upgrade", "a92e5f17c3d4")
    assert rows_of(empty_uri, "language") == [[(None,)], [(None,)]]
    with engine_of(empty_uri).begin() as connection:
        connection.exec_driver_sql("UPDATE mail SET language = 'de'")
        connection.exec_driver_sql("UPDATE user SET language = 'pt-BR'")
    assert rows_of(empty_uri, "language") == [[("pt-BR",)], [("de",)]]

    alembic("downgrade", "f4c8b2d91e07")
    assert rows_of(empty_uri) == before
    alembic("upgrade", "head")
    assert rows_of(empty_uri, "language") == [[(None,)], [(None,)]]
    assert len(before[2]) == len(before[3]) == 1  # what points at an account is still there
    assert migrate(empty_uri, "check", instance=tmp_path).returncode == 0


ROWS = [
    "INSERT INTO user (id, email, email_key, active, name) VALUES (7, 'ada@example.com', 'ada@example.com', 1, 'é')",
    (
        "INSERT INTO mail (id, user_id, template, recipient, facts, created_on, due_on, tries, expires_on) VALUES"
        " (9, 7, 'welcome', 'ada@example.com', '{\"ip\": \"é\"}', '2030-01-01', '2030-01-01', 2, '2030-01-02')"
    ),
    (
        "INSERT INTO user_event (user_id, event, ip, user_agent, created_on, expires_on) VALUES"
        " (7, 'signed_up', '', '', '2030-01-01', '2031-01-01')"
    ),
    (
        "INSERT INTO user_token (user_id, purpose, digest, email, email_key, created_on, expires_on) VALUES"
        " (7, 'reset', 'x', 'ada@example.com', 'ada@example.com', '2030-01-01', '2030-01-02')"
    ),
]


def engine_of(uri: str) -> sa.Engine:
    driver = "sqlite" if uri.startswith("sqlite") else "mysql+pymysql"
    return sa.create_engine(sa.make_url(uri).set(drivername=driver), poolclass=sa.NullPool)


def rows_of(uri: str, columns: str = "*") -> list[list[tuple[Any, ...]]]:
    """Return what stands in the tables that got a language, and in those that point at an account."""
    tables = ("user", "mail") if columns != "*" else ("user", "mail", "user_event", "user_token")
    with engine_of(uri).connect() as connection:
        return [[tuple(row) for row in connection.exec_driver_sql(f"SELECT {columns} FROM {name}")] for name in tables]


def test_our_first_two_revisions_make_the_originals_schema(mariadb: MariaDB, original: str, tmp_path: Path) -> None:
    ours = mariadb.create_database("ours")
    migrate(ours, "upgrade", "3a542da63280", instance=tmp_path).check_returncode()

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


def test_a_revision_can_be_generated_from_the_root(empty_uri: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(ROOT / "alembic", root / "alembic")
    shutil.copy(ROOT / "pyproject.toml", root)
    migrate(empty_uri, instance=tmp_path, root=root).check_returncode()

    made = migrate(empty_uri, "revision", "--autogenerate", "-m", "Nothing new", instance=tmp_path, root=root)

    assert made.returncode == 0, made.stderr
    (script,) = (root / "alembic/versions").glob("*_nothing_new.py")
    assert f'down_revision = "{schema.head_revision()}"' in script.read_text()
    assert "pass" in script.read_text()


def test_a_generated_table_comes_and_goes(empty_uri: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(ROOT / "alembic", root / "alembic")
    shutil.copy(ROOT / "pyproject.toml", root)
    for newer in (root / "alembic/versions").glob("*.py"):
        if newer.name[:12] not in BEFORE_THROTTLE:
            newer.unlink()

    for command in ("upgrade head", "revision --autogenerate -m Throttle", "upgrade head", "check", "downgrade -1"):
        done = migrate(empty_uri, *command.split(), instance=tmp_path, root=root)
        assert done.returncode == 0, done.stderr


@pytest.mark.real_hashes
async def test_everyone_of_the_original_logs_in_with_the_password_they_had(
    mariadb: MariaDB, original: str, tmp_path: Path
) -> None:
    rows = VECTORS["rows"]
    people = [f"({n}, 'person{n}@example.com', 1, {mariadb.quote(row['hash'])})" for n, row in enumerate(rows, start=1)]
    mariadb.execute(f"INSERT INTO user (id, email, active, password) VALUES {', '.join(people)}", database="original")
    migrate(original, instance=tmp_path).check_returncode()

    # Also where addresses have to be confirmed from now on.
    async with serving(settings(original, tmp_path) | {"SECURITY_CONFIRMABLE": True}) as app:
        for n, row in enumerate(rows, start=1):
            for _ in ("with the old hash", "with the new one"):
                client = app.test_client()
                answer = await log_in(client, email=f"person{n}@example.com", password=row["pw"])
                assert answer.status_code == 303, row
    assert all(stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$") for (stored,) in passwords(mariadb))


def passwords(server: MariaDB) -> tuple[tuple[str], ...]:
    with server.connect("original") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT password FROM user")
        found: tuple[tuple[str], ...] = cursor.fetchall()
    return found


def settings(uri: str, instance: Path) -> dict[str, Any]:
    needed = {"SQLALCHEMY_DATABASE_URI": uri, "SECRET_KEY": SECRET_KEY, "INSTANCE_PATH": str(instance)}
    return needed | {"SECURITY_PASSWORD_SALT": VECTORS["salt"]} | UNTHROTTLED


async def test_what_the_original_knew_is_kept(mariadb: MariaDB, original: str, tmp_path: Path) -> None:
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
        ("(1, ' ada@example.com'), (2, 'ada@example.com')", "users 1, 2 share the address ada@example.com"),
        ("(7, NULL), (8, '')", "user 7, 8 without an e-mail address"),
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
def test_what_stops_a_migration_is_said_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, str]
) -> None:
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)

    stopped = migrate(wrong.get("QUART_SQLALCHEMY_DATABASE_URI", "sqlite:///app.db"), instance=tmp_path)

    assert stopped.returncode != 0
    assert "FAILED: " in stopped.stdout + stopped.stderr
    assert "Traceback" not in stopped.stderr


def test_the_embedded_database_is_its_owners_alone(tmp_path: Path) -> None:
    migrate("sqlite:///app.db", instance=tmp_path).check_returncode()

    assert (tmp_path / "app.db").stat().st_mode & 0o777 == 0o600
