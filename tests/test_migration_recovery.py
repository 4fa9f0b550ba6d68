"""An upgrade of the original's database that was interrupted, or cannot begin."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from alembic.command import upgrade
from alembic.config import Config
from sqlalchemy import Engine, event

from app.lib.db import schema
from support.app import ROOT, SECRET_KEY, migrate
from support.mariadb_server import MariaDB

pytestmark = pytest.mark.programs

ROWS = (
    "INSERT INTO user (id, name, email, phone, active, password) VALUES (1, 'Ada', 'Ada@Example.com', '1', 1, '$2b$a')",
    "INSERT INTO user (id, name, email, active) VALUES (2, 'Zoë', 'zoe@müller.de', NULL), (5, NULL, 'bob', 0)",
    "INSERT INTO role (id, name) VALUES (1, 'admin'), (2, 'Rédaction')",
    "INSERT INTO user_role (user_id, role_id) VALUES (1, 1), (1, 1), (2, 2), (NULL, 1), (5, 1)",
)
USERS = "SELECT id, name, email, password FROM user ORDER BY id"
ROLES = "SELECT DISTINCT user_id, role.name FROM user_role JOIN role ON role.id = role_id WHERE user_id > 0 ORDER BY 1"


class Interrupted(Exception):
    """The process ends here."""


@pytest.fixture
def original(mariadb: MariaDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URL of a database as the original left it. The settings of this process name it too."""
    monkeypatch.setenv("QUART_SECRET_KEY", SECRET_KEY)
    monkeypatch.setenv("QUART_INSTANCE_PATH", str(tmp_path))
    url = create_original(mariadb, "recovery", tmp_path)
    monkeypatch.setenv("QUART_SQLALCHEMY_DATABASE_URI", url)
    return url


def create_original(server: MariaDB, name: str, instance: Path) -> str:
    url = server.create_database(name)
    migrate(url, "upgrade", "3a542da63280", instance=instance).check_returncode()
    server.execute(*ROWS, database=name)
    return url


def rows(server: MariaDB, *queries: str, database: str = "recovery") -> list[Any]:
    with server.connect(database) as connection, connection.cursor() as cursor:
        return [(cursor.execute(query), cursor.fetchall())[1] for query in queries]


def definitions(server: MariaDB, database: str = "recovery") -> list[set[str]]:
    """Return the lines that define each table: columns, keys, constraints and character sets."""
    tables = rows(server, "SHOW TABLES", database=database)[0]
    found = rows(server, *(f"SHOW CREATE TABLE `{name}`" for (name,) in tables), database=database)
    lines = [re.sub(r" AUTO_INCREMENT=\d+", "", definition).splitlines() for ((_, definition),) in found]
    return [{line.strip(" ,") for line in table} for table in lines]


def newest_starter_revision() -> str:
    """Return the newest revision of the starter. A product's own migrations may fail if they are repeated."""
    revisions = ("7c1f0e5b2a94", "a1c5d27e9b10", "b2d8e36fa0c4")
    return [revision for revision in revisions if list((ROOT / "alembic/versions").glob(f"{revision}_*.py"))][-1]


def is_interrupted(*, after: int, revision: str) -> bool:
    """Upgrade until some statements have changed something. Return whether the upgrade was interrupted there."""
    left = after

    def interrupt(_connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        nonlocal left
        is_ddl = statement.lstrip().startswith(("ALTER", "CREATE", "DROP"))
        left -= is_ddl or (statement.startswith(("UPDATE", "DELETE")) and cursor.rowcount > 0)
        if left == 0:
            cursor.execute("COMMIT")  # as the server does before the next DDL statement
            raise Interrupted

    event.listen(Engine, "after_cursor_execute", interrupt)
    try:
        upgrade(Config(toml_file=schema.PYPROJECT), revision)
    except Interrupted:
        return True
    finally:
        event.remove(Engine, "after_cursor_execute", interrupt)
    return False


def test_an_upgrade_interrupted_after_each_statement_finishes(mariadb: MariaDB, original: str, tmp_path: Path) -> None:
    before, newest = rows(mariadb, USERS, ROLES), newest_starter_revision()
    interruptions = 0
    while is_interrupted(after=1, revision=newest) and interruptions < 100:  # each run does one statement more
        interruptions += 1
        assert rows(mariadb, USERS, ROLES) == before

    assert 40 < interruptions < 100
    uninterrupted = create_original(mariadb, "uninterrupted", tmp_path)
    migrate(uninterrupted, "upgrade", newest, instance=tmp_path).check_returncode()
    assert definitions(mariadb) == definitions(mariadb, "uninterrupted")
    for command in ("upgrade head", "check", "downgrade 3a542da63280", "upgrade head", "check"):
        migrate(original, *command.split(), instance=tmp_path).check_returncode()
        assert rows(mariadb, USERS, ROLES) == before


def test_the_two_migrations_of_the_original_finish_too(mariadb: MariaDB, original: str, tmp_path: Path) -> None:
    uninterrupted = definitions(mariadb)
    mariadb.create_database("recovery")
    interruptions = 0
    while is_interrupted(after=1, revision="3a542da63280") and interruptions < 30:
        interruptions += 1
        if interruptions == 3:  # user and alembic_version exist
            mariadb.execute("INSERT INTO user (name, email) VALUES ('Zoë', 'zoe')", database="recovery")

    assert 8 < interruptions < 30
    assert definitions(mariadb) == uninterrupted
    assert rows(mariadb, "SELECT id, name, email FROM user") == [((1, "Zoë", "zoe"),)]


def test_a_table_of_another_application_is_not_taken_over(mariadb: MariaDB, original: str) -> None:
    mariadb.create_database("recovery")
    mariadb.execute("CREATE TABLE user (id INTEGER PRIMARY KEY, login TEXT)", database="recovery")

    with pytest.raises(schema.UpgradeFailed, match="user is of another application: it has no email, name, phone"):
        schema.upgrade()


@pytest.mark.parametrize("locked", ["user", "alembic_version"])
def test_a_killed_upgrade_finishes_when_run_again(mariadb: MariaDB, original: str, tmp_path: Path, locked: str) -> None:
    before, tables = rows(mariadb, USERS, ROLES), definitions(mariadb)
    waiting = "SELECT id FROM information_schema.processlist WHERE state = 'Waiting for table metadata lock'"
    with mariadb.connect("recovery") as lock:
        lock.query(f"LOCK TABLES `{locked}` READ")  # the upgrade waits where it changes this table
        process = subprocess.Popen([sys.executable, "-m", "alembic", "upgrade", "head"], cwd=ROOT)
        while not rows(mariadb, waiting)[0]:
            assert process.poll() is None
            time.sleep(0.05)
        process.kill()
        assert process.wait(20) == -signal.SIGKILL
    assert definitions(mariadb) != tables

    for command in ("upgrade head", "check"):
        migrate(original, *command.split(), instance=tmp_path).check_returncode()
    assert rows(mariadb, USERS, ROLES) == before


def test_an_upgrade_checks_a_half_migrated_database_too(mariadb: MariaDB, original: str) -> None:
    assert is_interrupted(after=20, revision=newest_starter_revision())
    user, user_role = "INSERT INTO user (id, email)", "INSERT INTO user_role (id, user_id, role_id)"
    mariadb.execute(f"{user} VALUES (7, ' ADA@example.com')", f"{user_role} VALUES (9, 8, 1)", database="recovery")
    tables = definitions(mariadb)

    with pytest.raises(schema.UpgradeFailed, match=r"ada@example.com: 1, 7; .*exist: 9. Fix .* nothing was changed"):
        schema.upgrade()

    assert definitions(mariadb) == tables
    mariadb.execute("DELETE FROM user WHERE id = 7", "DELETE FROM user_role WHERE id = 9", database="recovery")
    schema.upgrade()
