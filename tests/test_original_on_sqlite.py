"""An upgrade of an original installation on SQLite, where the constraints have no names."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.app import migrate

pytestmark = pytest.mark.programs

ORIGINAL = """
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);
INSERT INTO alembic_version VALUES ('3a542da63280');
CREATE TABLE user (id INTEGER NOT NULL, name VARCHAR(100), email VARCHAR(100), phone VARCHAR(30), active BOOLEAN,
    created_on DATETIME, password VARCHAR(200), PRIMARY KEY (id), UNIQUE (email), UNIQUE (id), UNIQUE (phone));
CREATE TABLE role (id INTEGER NOT NULL, created_on DATETIME, name VARCHAR(30), description VARCHAR(200),
    PRIMARY KEY (id), UNIQUE (id), UNIQUE (name));
CREATE TABLE user_role (id INTEGER NOT NULL, created_on DATETIME, user_id INTEGER, role_id INTEGER,
    PRIMARY KEY (id), FOREIGN KEY(role_id) REFERENCES role (id), FOREIGN KEY(user_id) REFERENCES user (id),
    UNIQUE (id));
INSERT INTO user (id, email, active, password) VALUES (1, 'ada@example.com', 1, '$2b$a'), (2, 'bob@example.com', 0, '');
INSERT INTO role (id, name) VALUES (1, 'admin');
INSERT INTO user_role (user_id, role_id) VALUES (2, 1);
"""
USERS = "SELECT user.id, email, active, password, role_id FROM user LEFT JOIN user_role ON user_id = user.id"


@pytest.fixture
def original(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(tmp_path / "app.db", isolation_level=None)
    connection.executescript(ORIGINAL)
    yield connection
    connection.close()


def alembic(*commands: str, instance: Path) -> None:
    for command in commands:
        done = migrate("sqlite:///app.db", *command.split(), instance=instance)
        assert done.returncode == 0, done.stdout + done.stderr


def test_constraints_without_a_name_are_replaced(original: sqlite3.Connection, tmp_path: Path) -> None:
    before = original.execute(USERS).fetchall()

    alembic("upgrade head", "check", "downgrade 3a542da63280", "upgrade head", "check", instance=tmp_path)

    assert original.execute(USERS).fetchall() == before


def test_rows_of_deleted_users_stop_the_upgrade(original: sqlite3.Connection, tmp_path: Path) -> None:
    original.execute("DELETE FROM user WHERE id = 2")

    stopped = migrate("sqlite:///app.db", instance=tmp_path)

    assert "rows of user_role whose user or role does not exist: 1. Fix these rows" in stopped.stdout + stopped.stderr
    assert original.execute("SELECT version_num FROM alembic_version").fetchone() == ("3a542da63280",)


def test_views_and_triggers_are_kept(original: sqlite3.Connection, tmp_path: Path) -> None:
    original.execute("CREATE VIEW people AS SELECT id, email FROM user")
    original.execute("CREATE TRIGGER no_phone AFTER UPDATE ON user BEGIN UPDATE user SET phone = NULL; END")

    alembic("upgrade head", "check", instance=tmp_path)

    original.execute("UPDATE user SET phone = '1' WHERE id = 1")
    assert original.execute("SELECT phone FROM user WHERE id = 1").fetchone() == (None,)
    assert original.execute("SELECT count(*) FROM people").fetchone() == (2,)


@pytest.mark.parametrize("table", ["user", "user_token", "mail"])
def test_ids_of_deleted_rows_are_never_reused(original: sqlite3.Connection, tmp_path: Path, table: str) -> None:
    alembic("upgrade head", instance=tmp_path)

    ((definition,),) = original.execute("SELECT sql FROM sqlite_master WHERE name = ?", [table]).fetchall()
    assert "AUTOINCREMENT" in definition
