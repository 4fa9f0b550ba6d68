"""The URL of the database: the DB_* keys of the Flask boilerplate, or SQLALCHEMY_DATABASE_URI."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from app.lib.settings.base_url import Authority

ASYNC_DRIVERS = {"sqlite": "sqlite+aiosqlite", "mysql": "mysql+aiomysql", "mariadb": "mariadb+aiomysql"}

# An @ in the password ends it: the rest would be read as the host, and shown. The query may contain an @.
HAS_TWO_AT_SIGNS = re.compile(r"(?:mysql|mariadb)(?:(?!\?\w+=).)*@(?:(?!\?\w+=).)*@")


def database_url(config: Mapping[str, Any]) -> URL:
    """Return the URL of the database, with an asynchronous driver. Raises ValueError."""
    if HAS_TWO_AT_SIGNS.match(config["SQLALCHEMY_DATABASE_URI"]):
        raise ValueError("SQLALCHEMY_DATABASE_URI has two @: write @ in the user or the password as %40")
    try:
        url = make_url(config["SQLALCHEMY_DATABASE_URI"] or _url_of_parts(config))
    except (ArgumentError, ValueError) as error:
        reason = str(error) if "DB_" in str(error) else "SQLALCHEMY_DATABASE_URI is not the URL of a database"
        raise ValueError(reason) from None
    backend = url.get_backend_name()
    if backend not in ASYNC_DRIVERS:
        other = f", not {backend}" if backend.isalnum() else ""  # a whole URL in the wrong setting may have a password
        raise ValueError(f"the database must be SQLite, MySQL or MariaDB{other}")
    if backend == "sqlite":
        url = url.set(database=_sqlite_file(url, config["INSTANCE_PATH"]))
    return url.set(drivername=ASYNC_DRIVERS[backend])


def without_secrets(url: URL) -> str:
    """Return the URL for a message. Its query may contain a password too: of the query, only the socket is kept."""
    socket = {name: value for name, value in url.query.items() if name == "unix_socket"}
    return url.set(query=socket).render_as_string(hide_password=True)


def _sqlite_file(url: URL, instance: str) -> str:
    if not url.database or url.database == ":memory:":
        raise ValueError("an SQLite database must be a file: in memory every connection has a database of its own")
    if url.host:
        raise ValueError("an SQLite database is a file and has no server: sqlite:///app.db, with three slashes")
    return url.database if url.database.startswith("file:") else str(Path(instance, url.database))


def _url_of_parts(config: Mapping[str, Any]) -> URL:
    if not config["DB_NAME"]:
        return URL.create("sqlite", database="app.db")
    url = URL.create(
        config["SQLALCHEMY_DB_PREFIX"],
        username=config["DB_USERNAME"] or None,
        password=config["DB_PASSWORD"] or None,
        database=config["DB_NAME"],
    )
    if config["DB_SERVER"].startswith("/"):
        return url.update_query_dict({"unix_socket": config["DB_SERVER"]})
    server = Authority.parse(config["DB_SERVER"], name="DB_SERVER")
    return url.set(host=server.host.strip("[]"), port=server.port)
