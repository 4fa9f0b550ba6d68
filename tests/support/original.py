"""A database as the Flask boilerplate of 2020 left it, on SQLite or MariaDB."""

import sqlite3
from pathlib import Path
from typing import Any

from pymysql.connections import Connection

from support.mariadb_server import MariaDB

# What its two migrations made on MySQL. On SQLite the constraints have no names.
SCHEMA = """
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
ORIGINAL = SCHEMA.split(";")
ROWS = (
    "INSERT INTO user (id, email, active, password) VALUES (1, 'ada@example.com', 1, '$2b$a'), (2, 'zoë@x.de', 0, '')",
    "INSERT INTO role (id, name) VALUES (1, 'admin')",
    "INSERT INTO user_role (user_id, role_id) VALUES (2, 1)",
)


class Original:
    """The database, with two users, and a connection to it."""

    def __init__(self, url: str, connection: "sqlite3.Connection | Connection[Any]") -> None:
        self.url, self.connection = url, connection
        self.execute(*ORIGINAL, *ROWS)

    @classmethod
    def on_sqlite(cls, folder: Path) -> "Original":
        return cls("sqlite:///app.db", sqlite3.connect(folder / "app.db", isolation_level=None))

    @classmethod
    def on_mariadb(cls, server: MariaDB) -> "Original":
        return cls(server.create_database("original"), server.connect("original"))

    @property
    def is_sqlite(self) -> bool:
        return isinstance(self.connection, sqlite3.Connection)

    def execute(self, *statements: str) -> None:
        for statement in statements:
            self.rows(statement)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Execute a statement that is written for MariaDB."""
        cursor = self.connection.cursor()
        words = ("AUTO_INCREMENT", "FOR EACH ROW") if self.is_sqlite else ()
        for word in words:
            query = query.replace(word, "")
        cursor.execute(query)
        return list(cursor.fetchall())

    def schema(self) -> list[tuple[Any, ...]]:
        """Return the definition of every table, view, index and trigger."""
        if self.is_sqlite:
            return self.rows("SELECT name, sql FROM sqlite_master ORDER BY name")
        tables = self.rows("SHOW TABLES")
        found = [self.rows(f"SHOW CREATE TABLE `{name}`")[0] for (name,) in tables]
        return [*found, *((trigger[0], trigger[3]) for trigger in self.rows("SHOW TRIGGERS"))]
