"""Original databases that were changed: each is upgraded with all that it has, or refused before anything changes."""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app import features
from app.lib.db import schema
from app.models import Base
from support.app import SECRET_KEY, migrate
from support.original import Original

pytestmark = pytest.mark.programs

BOTH = ("sqlite", "mariadb")
NOTE = "CREATE TABLE note (id INTEGER PRIMARY KEY, {0} {1}, FOREIGN KEY ({0}) REFERENCES user ({2}))"
ROWS_OF_A_DELETED_USER = [
    NOTE.format("user_id", "INTEGER", "id"),
    "INSERT INTO note VALUES (1, 3), (2, 3), (3, 2), (4, NULL)",
]
WITHOUT_KEYS = "ALTER TABLE user_role DROP FOREIGN KEY user_role_ibfk_1, DROP FOREIGN KEY user_role_ibfk_2"
TABLES = ("user", "role", "user_role")
OF_USER = "FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'user'"
USERS = "SELECT u.id, email, password, active, role_id FROM user u LEFT JOIN user_role ON user_id = u.id ORDER BY u.id"

# The databases, the change, and the query whose result an upgrade keeps.
KEPT = {
    "a default with a colon": (
        ("sqlite",),
        ["""ALTER TABLE user ADD COLUMN prefs VARCHAR(20) DEFAULT '{"size":1}'"""],
        "SELECT dflt_value FROM pragma_table_info('user') WHERE name = 'prefs'",
    ),
    "views": (BOTH, ["CREATE VIEW emails AS SELECT id, email FROM user"], "SELECT * FROM emails"),
    "a trigger": (
        BOTH,
        [
            "CREATE TABLE arrival (email VARCHAR(100))",
            "CREATE TRIGGER arrive AFTER INSERT ON user FOR EACH ROW BEGIN INSERT INTO arrival VALUES (NEW.email); END",
        ],
        "SELECT * FROM arrival",
    ),
    "a trigger of a table in capitals": (
        ("sqlite",),
        [
            "CREATE TABLE arrival (email VARCHAR(100))",
            "CREATE TRIGGER arrive AFTER INSERT ON USER BEGIN INSERT INTO arrival VALUES (NEW.email); END",
        ],
        "SELECT * FROM arrival",
    ),
    "a column": (
        BOTH,
        [
            "ALTER TABLE user ADD COLUMN nick VARCHAR(9) DEFAULT 'n' NOT NULL",
            "CREATE INDEX nicks ON user (nick, email)",
        ],
        "SELECT id, nick FROM user",
    ),
    "a table": (
        BOTH,
        [NOTE.format("user_id", "INTEGER", "id"), "INSERT INTO note VALUES (1, 2)"],
        "SELECT note.id, email FROM note JOIN user ON user.id = user_id",
    ),
    "a partial index": (
        ("sqlite",),
        ["CREATE UNIQUE INDEX partial ON user (phone, name) WHERE lower(email) > ''"],
        "SELECT sql FROM sqlite_master WHERE name = 'partial'",
    ),
    "names that are keywords": (BOTH, ["UPDATE user SET name = '%s; select'"], "SELECT id, name FROM user"),
    "MyISAM": (("mariadb",), [WITHOUT_KEYS, *(f"ALTER TABLE {table} ENGINE=MyISAM" for table in TABLES)], USERS),
    "columns in latin1": (
        ("mariadb",),
        [
            "CREATE TABLE team (code VARCHAR(9) PRIMARY KEY)",
            "ALTER TABLE user ROW_FORMAT=COMPACT, ADD COLUMN token VARCHAR(9) COLLATE latin1_bin DEFAULT 'a'",
            "ALTER TABLE user ADD COLUMN nick VARCHAR(255) UNIQUE, ADD COLUMN bio VARCHAR(20000)",
            "ALTER TABLE user ADD COLUMN team_code VARCHAR(9), ADD FOREIGN KEY (team_code) REFERENCES team (code)",
            "ALTER TABLE user ADD UNIQUE wide (nick, email)",
            "UPDATE user SET nick = IF(id = 1, 'Bär', 'Bar')",
        ],
        "SELECT id, nick, token, token = 'A' FROM user",
    ),
    "defaults and comments": (
        ("mariadb",),
        [
            "ALTER TABLE user MODIFY active BOOL DEFAULT 1 COMMENT 'a'",
            "ALTER TABLE user MODIFY name VARCHAR(9) NOT NULL DEFAULT '5% :x' COMMENT '5% :x'",
        ],
        f"SELECT column_default, column_comment {OF_USER} AND column_name IN ('active', 'name')",
    ),
    "other names": (
        ("mariadb",),
        [
            "ALTER TABLE user DROP INDEX email, ADD UNIQUE INDEX uq_user_phone (email)",
            WITHOUT_KEYS,
            "ALTER TABLE user_role ADD CONSTRAINT fk FOREIGN KEY (user_id) REFERENCES user (id) ON DELETE CASCADE",
        ],
        USERS,
    ),
    "zero dates": (
        ("mariadb",),
        ["ALTER TABLE user ADD COLUMN born DATE NOT NULL DEFAULT '0000-00-00'", "UPDATE user SET created_on = 0"],
        "SELECT id, born FROM user",
    ),
    "the id 0": (
        ("mariadb",),
        [
            "SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO'",
            "ALTER TABLE user CONVERT TO CHARACTER SET latin1",
            "INSERT INTO user (id, email, active) VALUES (0, 'zero', 1)",
        ],
        USERS,
    ),
    "wider columns": (
        ("mariadb",),
        [
            "ALTER TABLE user MODIFY email VARCHAR(300), MODIFY password TEXT",
            "ALTER TABLE role MODIFY name VARCHAR(80)",
        ],
        USERS,
    ),
    "a check of SQLAlchemy 1.3": (
        ("sqlite",),
        ["ALTER TABLE user ADD COLUMN admin BOOLEAN CHECK (admin IN (0, 1))", "UPDATE user SET admin = id = 1"],
        "SELECT id, admin FROM user",
    ),
}
# The databases, the change, and the reason that Alembic prints.
REFUSED = {
    "a column by our name": (
        BOTH,
        ["ALTER TABLE user ADD COLUMN language VARCHAR(50)"],
        "the table user has a column language of its own, VARCHAR(50): rename it",
    ),
    "a column with the name and type of a new one": (
        BOTH,
        ["ALTER TABLE user ADD COLUMN confirmed_on DATETIME"],
        "the table user has a column confirmed_on of its own, DATETIME: rename it",
    ),
    "a key with the name and type of a new one": (
        ("sqlite",),
        ["ALTER TABLE user ADD COLUMN Email_Key VARCHAR(320)"],
        "the table user has a column email_key of its own, VARCHAR(320): rename it",
    ),
    "a role for each team": (
        BOTH,
        [
            "ALTER TABLE user_role ADD COLUMN team INTEGER",
            "INSERT INTO user_role (id, user_id, role_id, team) VALUES (5, 2, 1, 7), (6, 1, 1, 7), (7, 1, 1, 7)",
        ],
        "rows of user_role with the same user and role, and differences in other columns: 1, 5",
    ),
    "a table by our name": (
        BOTH,
        ["CREATE TABLE mail (id INTEGER PRIMARY KEY)"],
        "the table mail has the name of a new table: rename it",
    ),
    "a view by our name": (BOTH, ["CREATE VIEW mail AS SELECT id FROM user"], "the view mail has the name of a new"),
    "a key that refers to an e-mail address": (
        BOTH,
        [NOTE.format("email", "VARCHAR(100)", "email")],
        "a foreign key of note refers to user.email, whose key changes: let it refer to the id",
    ),
    "rows of a deleted user": (
        ("sqlite",),
        ROWS_OF_A_DELETED_USER,
        "note.user_id refers to rows of user that do not exist: 3",
    ),
    "rows of a deleted user, stored without checks": (
        ("mariadb",),
        ["SET foreign_key_checks = 0", *ROWS_OF_A_DELETED_USER],
        "note.user_id refers to rows of user that do not exist: 3",
    ),
    "another type of id": (
        ("mariadb",),
        ["ALTER TABLE user_role DROP FOREIGN KEY user_role_ibfk_2", "ALTER TABLE user MODIFY id BIGINT NOT NULL"],
        "user.id is BIGINT",
    ),
    "triggers that would run": (
        ("mariadb",),
        [
            "CREATE TRIGGER log AFTER UPDATE ON user FOR EACH ROW BEGIN DELETE FROM role WHERE id = 9; END",
            "CREATE TRIGGER inserted BEFORE DELETE ON user_role FOR EACH ROW BEGIN DELETE FROM role WHERE id = 9; END",
        ],
        (
            "the trigger inserted of user_role would run: drop it, and create it again after the upgrade;"
            " the trigger log of user would run: drop it, and create it again after the upgrade"
        ),
    ),
    "a foreign key of a converted column": (
        ("mariadb",),
        [
            "CREATE TABLE person (name VARCHAR(100) PRIMARY KEY)",
            "ALTER TABLE user ADD CONSTRAINT named FOREIGN KEY (name) REFERENCES person (name)",
        ],
        "the foreign key named of user has a column that becomes utf8mb4: drop the key",
    ),
    "zero dates that cannot be NULL": (
        ("mariadb",),
        ["UPDATE user SET created_on = 0", "ALTER TABLE user MODIFY created_on DATETIME NOT NULL"],
        "user.created_on is NOT NULL, and has dates that become NULL: 1, 2",
    ),
    "a unique key of a converted column": (
        ("mariadb",),
        [
            "ALTER TABLE user ADD COLUMN team INTEGER DEFAULT 7, ADD UNIQUE (team, name)",
            "UPDATE user SET name = IF(id = 1, 'Bär', 'Bar')",
        ],
        "rows of user with the same team, name in utf8mb4: 1,2",
    ),
    "a name that is too long": (
        ("mariadb",),
        ["ALTER TABLE role MODIFY name VARCHAR(80)", "UPDATE role SET name = REPEAT('n', 31)"],
        "role.name of more than 30 characters: 1",
    ),
    "an e-mail address and a hash that are too long": (
        ("sqlite",),
        ["UPDATE user SET email = printf('%0255d', id), password = printf('%0256d', id) WHERE id = 2"],
        "user.email of more than 254 characters: 2; user.password of more than 255 characters: 2",
    ),
    "values that are not dates": (
        ("sqlite",),
        [
            "UPDATE user SET created_on = CASE id WHEN 1 THEN 1588327200 ELSE '2020-05-01 10:00:00.5' END",
            "UPDATE role SET created_on = 'May 1st'",
        ],
        "user.created_on is not a date: 1; role.created_on is not a date: 1",
    ),
    "columns that a copy cannot have": (
        ("sqlite",),
        [
            "ALTER TABLE user ADD COLUMN extra",
            "ALTER TABLE role ADD COLUMN picture LONGBLOB",
            "ALTER TABLE user ADD COLUMN team_id INTEGER REFERENCES team(id)",
            "CREATE TABLE _alembic_tmp_user (id INTEGER)",
        ],
        (
            "the table _alembic_tmp_user is left from another migration: drop it;"
            " a foreign key of user refers to the missing table team: remove the key;"
            " user.extra has no type, or one that cannot be copied: declare it as BLOB;"
            " role.picture has no type, or one that cannot be copied: declare it as BLOB"
        ),
    ),
    "bytes instead of text": (
        ("sqlite",),
        ["UPDATE user SET email = x'61' WHERE id = 1", "UPDATE user SET password = x'61' WHERE id = 2"],
        "user.email is not text: 1; user.password is not text: 2",
    ),
    "a generated column": (
        ("sqlite",),
        ["ALTER TABLE user ADD COLUMN box VARCHAR(99) GENERATED ALWAYS AS (lower(email))"],
        "the upgrade would lose GENERATED in the table user: create it without that",
    ),
    "indexes that a copy would not have": (
        ("sqlite",),
        [
            "CREATE UNIQUE INDEX lowered ON user (lower (email))",
            "CREATE INDEX joined ON user (email || '-' || phone)",
            "CREATE INDEX nocase ON role (name COLLATE NOCASE)",
            "CREATE INDEX latest ON role (created_on DESC)",
        ],
        (
            "the upgrade would lose an expression in the index joined: create it without that;"
            " the upgrade would lose an expression in the index lowered: create it without that;"
            " the upgrade would lose DESC in the index latest: create it without that;"
            " the upgrade would lose COLLATE in the index nocase: create it without that"
        ),
    ),
}


def cases(table: dict[str, tuple[tuple[str, ...], list[str], str]]) -> list[object]:
    return [
        pytest.param(database, statements, expected, id=f"{name}-{database}")
        for name, (databases, statements, expected) in table.items()
        for database in databases
    ]


@pytest.fixture
def original(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Original]:
    if request.param == "sqlite":
        database = Original.on_sqlite(tmp_path)
    else:
        database = Original.on_mariadb(request.getfixturevalue("mariadb"))
    monkeypatch.setenv("QUART_SECRET_KEY", SECRET_KEY)
    monkeypatch.setenv("QUART_INSTANCE_PATH", str(tmp_path))
    monkeypatch.setenv("QUART_SQLALCHEMY_DATABASE_URI", database.url)
    with closing(database.connection):
        yield database


@pytest.mark.parametrize(("original", "changes", "query"), cases(KEPT), indirect=["original"])
def test_what_was_added_is_kept_by_an_upgrade_a_downgrade_and_an_upgrade(
    original: Original, changes: list[str], query: str, tmp_path: Path
) -> None:
    original.execute(*changes)
    before = [original.rows(USERS), original.rows(query)]

    schema.upgrade()
    assert [original.rows(USERS), original.rows(query)] == before
    migrate(original.url, "downgrade", "3a542da63280", instance=tmp_path).check_returncode()
    assert [original.rows(USERS), original.rows(query)] == before
    schema.upgrade()
    assert [original.rows(USERS), original.rows(query)] == before
    original.execute("INSERT INTO user (id, email, email_key, active) VALUES (3, 'bob', 'bob', 1)")
    if "TRIGGER" in str(changes):
        assert original.rows(query) == [("bob",)]


@pytest.mark.parametrize(("original", "changes", "reason"), cases(REFUSED), indirect=["original"])
def test_what_an_upgrade_cannot_keep_stops_it_before_it_changes_anything(
    original: Original, changes: list[str], reason: str
) -> None:
    original.execute(*changes)
    before = [original.schema(), original.rows("SELECT * FROM user")]

    refusal = f"{re.escape(reason)}.* Fix these (tables|rows) .*; nothing was changed"
    with pytest.raises(schema.UpgradeFailed, match=refusal):
        schema.upgrade()

    assert [original.schema(), original.rows("SELECT * FROM user")] == before


@pytest.mark.parametrize("original", BOTH, indirect=True)
def test_a_site_with_migrations_of_its_own_is_upgraded_after_a_stamp(original: Original, tmp_path: Path) -> None:
    original.execute(NOTE.format("user_id", "INTEGER", "id"), "INSERT INTO note VALUES (1, 2)")
    original.execute("UPDATE alembic_version SET version_num = 'abcdef123456'")
    with pytest.raises(schema.UpgradeFailed, match="Can't locate revision identified by 'abcdef123456'"):
        schema.upgrade()

    migrate(original.url, "stamp", "--purge", "3a542da63280", instance=tmp_path).check_returncode()
    schema.upgrade()

    assert original.rows("SELECT id, user_id FROM note") == [(1, 2)]


@pytest.mark.parametrize("original", ["mariadb"], indirect=True)
def test_roles_that_differ_in_an_accent_are_kept(original: Original) -> None:
    original.execute("INSERT INTO role (id, name) VALUES (2, 'Bär'), (3, 'Bar')")

    schema.upgrade()

    assert original.rows("SELECT name FROM role WHERE id > 1 ORDER BY id") == [("Bär",), ("Bar",)]


@pytest.mark.parametrize("original", ["mariadb"], indirect=True)
def test_dates_that_python_cannot_read_become_null(original: Original) -> None:
    original.execute(
        "UPDATE user SET created_on = IF(id = 1, '2020-05-00', '2020-05-01')",
        "UPDATE role SET created_on = 0",
        "UPDATE user_role SET created_on = '2020-00-01'",
    )

    schema.upgrade()

    dates = [original.rows(f"SELECT CAST(created_on AS CHAR) FROM `{table}` ORDER BY id") for table in TABLES]
    assert dates == [[(None,), ("2020-05-01 00:00:00",)], [(None,)], [(None,)]]


@pytest.mark.parametrize("original", ["mariadb"], indirect=True)
def test_a_column_that_no_registration_fills_is_reported(original: Original, tmp_path: Path) -> None:
    original.execute("ALTER TABLE user ADD COLUMN nick VARCHAR(9) NOT NULL, ADD COLUMN age INTEGER")

    printed = migrate(original.url, instance=tmp_path).stderr

    assert "user.nick is NOT NULL without a default: until a model has it, no row can be added" in printed
    assert printed.count("without a default") == 1


@pytest.mark.parametrize("original", BOTH, indirect=True)
def test_a_table_with_the_name_of_a_feature_table_stops_the_upgrade_until_it_is_renamed(original: Original) -> None:
    features.import_models()
    wanted = {
        mapper.class_.__tablename__
        for mapper in Base.registry.mappers
        if mapper.class_.__module__.startswith("app.features.")
    }
    original.execute(*(f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, title VARCHAR(9))" for name in wanted))

    refused: set[str] = set()
    while refused < wanted:  # once for each feature
        with pytest.raises(schema.UpgradeFailed, match=r"it continues with this migration\.$") as failure:
            schema.upgrade()
        names = set(re.findall(r"the table (\w+) has the name of a new table: rename it", str(failure.value)))
        assert names
        original.execute(*(f"ALTER TABLE {name} RENAME TO former_{name}" for name in names))
        refused |= names

    schema.upgrade()
    assert refused == wanted
