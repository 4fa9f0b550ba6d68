"""How the engines connect to MySQL and MariaDB."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.pool import ConnectionPoolEntry

from app.lib.db.connection_options import check_names, read_numbers
from app.lib.db.encrypted_connection import connect
from app.lib.db.tls import OPTION_NAMES, tls_context

CONNECT_TIMEOUT_SECONDS = 3
SQL_MODE = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE,NO_ENGINE_SUBSTITUTION"
CHARSET = "utf8mb4"

# A server that responds and cannot serve: no primary component (Galera), shutting down, read-only. Another server
# behind the same proxy may be able to, so the connection is replaced and the transaction runs again.
UNUSABLE_ERRORS = {1047, 1053, 1290, 1836}


def connection_arguments(url: URL, given: Mapping[str, Any], *, lock_timeout: int) -> tuple[URL, dict[str, Any]]:
    """Return the URL and the other arguments with which aiomysql connects. `given` are those of the settings.

    The connection uses utf8mb4, UTC and a strict mode, whatever the defaults of the server are. Raises ValueError for
    an unknown option or a wrong value.
    """
    check_names([*url.query, *given])
    handled, options = ("charset", "init_command", *OPTION_NAMES), {**url.query, **given}
    arguments: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT_SECONDS}
    arguments |= {name: value for name, value in given.items() if name not in handled} | read_numbers(options)
    arguments |= {"charset": CHARSET, "init_command": init_command(options, lock_timeout=lock_timeout)}
    check_charset(options)
    if (context := tls_context({name: options[name] for name in OPTION_NAMES if name in options})) is not None:
        arguments |= {"ssl": context, "async_creator_fn": connect}  # instead of aiomysql.connect
    # aiomysql encodes a password as Latin-1; the server expects UTF-8: https://github.com/PyMySQL/PyMySQL/issues/1252
    password = arguments.get("password", url.password)
    if isinstance(password, str):
        arguments["password"] = password.encode().decode("latin-1")
    return url.difference_update_query(handled), arguments


def init_command(options: Mapping[str, Any], *, lock_timeout: int) -> str:
    """Return the statements that each new connection runs: that of the site, then that of the settings.

    Raises TypeError.
    """
    session = f"SET SESSION sql_mode='{SQL_MODE}', time_zone='+00:00', innodb_lock_wait_timeout={lock_timeout}"
    given = options.get("init_command") or ""
    if not isinstance(given, str):
        raise TypeError("init_command of the database is not text: write one SQL statement in quotes")
    return f"{session};\n{given}" if given.strip() else session


def check_charset(options: Mapping[str, Any]) -> None:
    """Raise ValueError for a charset other than utf8mb4: `utf8`, for example, has no characters of four bytes."""
    charset = options.get("charset", CHARSET)
    if str(charset).lower() != CHARSET:
        raise ValueError(f"charset of the database is {charset!r}: remove it, because the site uses {CHARSET}")


def refuse_changes(connection: Any, _record: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute("SET SESSION TRANSACTION READ ONLY")
    cursor.close()


def mark_unusable(context: ExceptionContext) -> None:
    """Treat the errors of a server that cannot serve as a lost connection."""
    arguments = getattr(context.original_exception, "args", None) or (None,)
    if arguments[0] in UNUSABLE_ERRORS:
        context.is_disconnect = True
