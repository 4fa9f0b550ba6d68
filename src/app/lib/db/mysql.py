"""How the engines connect to MySQL and MariaDB."""

import ssl
from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.pool import ConnectionPoolEntry

from app.lib.db.encrypted_connection import connect
from app.lib.settings.readers import BOOLEANS

CONNECT_TIMEOUT_SECONDS = 3
SQL_MODE = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE,NO_ENGINE_SUBSTITUTION"

# A server that responds and cannot serve: no primary component (Galera), shutting down, read-only. Another server
# behind the same proxy may be able to, so the connection is replaced and the transaction runs again.
UNUSABLE_ERRORS = {1047, 1053, 1290, 1836}

# The TLS options of PyMySQL and mysqlclient, in the URL or in `connect_args`; `ssl` may also be a dict of them.
TLS_FILES = ("ca", "capath", "cert", "key")
SHOWN_FILES = ("ca", "capath", "cert")  # in errors; the key may be given by mistake instead of its path
TLS_CHOICES = ("check_hostname", "verify_mode", "verify_cert", "verify_identity", "disabled", "mode")
TLS_OPTIONS = (*TLS_FILES, "password", "cipher", *TLS_CHOICES)
VERIFY_MODES = BOOLEANS | {"none": False, "optional": True, "required": True}
SSL_MODES = {"disabled": None, "required": (False, False), "verify_ca": (True, False), "verify_identity": (True, True)}


def connection_arguments(url: URL, given: Mapping[str, Any], *, lock_timeout: int) -> tuple[URL, dict[str, Any]]:
    """Return the URL and the other arguments with which aiomysql connects. `given` are those of the settings.

    The connection uses utf8mb4, UTC and a strict mode, whatever the defaults of the server are. Raises ValueError for
    wrong TLS options.
    """
    session = f"SET SESSION sql_mode='{SQL_MODE}', time_zone='+00:00', innodb_lock_wait_timeout={lock_timeout}"
    arguments = {"charset": "utf8mb4", "connect_timeout": CONNECT_TIMEOUT_SECONDS, "init_command": session, **given}
    names = ["ssl", *(f"ssl_{option}" for option in TLS_OPTIONS)]
    options = {name: url.query[name] for name in names if name in url.query}
    options |= {name: arguments.pop(name) for name in names if name in arguments}
    if (context := tls_context(options)) is not None:
        arguments |= {"ssl": context, "async_creator_fn": connect}  # instead of aiomysql.connect
    # aiomysql encodes a password as Latin-1; the server expects UTF-8: https://github.com/PyMySQL/PyMySQL/issues/1252
    password = arguments.get("password", url.password)
    if isinstance(password, str):
        arguments["password"] = password.encode().decode("latin-1")
    return url.difference_update_query(names), arguments


def tls_context(given: Mapping[str, Any]) -> ssl.SSLContext | None:
    """Return the context that the options describe, None without TLS. The certificate and the host are verified.

    `ssl_verify_cert`, `ssl_verify_identity` and `ssl_mode` switch that off. Raises ValueError.
    """
    whole = given.get("ssl")
    if isinstance(whole, ssl.SSLContext):
        return whole
    options = {name.removeprefix("ssl_"): option for name, option in given.items() if name != "ssl"}
    is_wanted = bool(options)
    if isinstance(whole, Mapping):
        options |= whole
        is_wanted = True
    elif whole is not None:
        is_wanted = boolean("ssl", whole) or is_wanted
    if not is_wanted:
        return None
    if unknown := sorted(set(options) - set(TLS_OPTIONS)):
        raise ValueError(f"the database has no TLS option {', '.join(unknown)}: use {', '.join(TLS_OPTIONS)}")
    return make_context(options)


def make_context(options: Mapping[str, Any]) -> ssl.SSLContext | None:
    mode = choice("ssl_mode", options.get("mode", "verify_identity"), SSL_MODES)
    if mode is None or boolean("ssl_disabled", options.get("disabled", False)):
        return None
    verifies, checks_host = mode
    verifies = verifies and boolean("ssl_verify_cert", options.get("verify_cert", True))
    verifies = verifies and choice("verify_mode", options.get("verify_mode", True), VERIFY_MODES)
    checks_host = checks_host and boolean("ssl_verify_identity", options.get("verify_identity", True))
    checks_host = checks_host and boolean("ssl_check_hostname", options.get("check_hostname", True))

    refuse_contents(options)
    try:
        context = ssl.create_default_context(cafile=options.get("ca"), capath=options.get("capath"))
        if "cert" in options:
            context.load_cert_chain(options["cert"], options.get("key"), options.get("password"))
    except OSError as error:
        files = ", ".join(f"ssl_{name}={options[name]}" for name in SHOWN_FILES if name in options)
        raise ValueError(f"the TLS files of the database cannot be used: {files} ({error})") from error
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # a CA that MySQL generates has no key usage
    context.check_hostname = verifies and checks_host
    if not verifies:
        context.verify_mode = ssl.CERT_NONE
    if "cipher" in options:
        context.set_ciphers(options["cipher"])
    return context


def refuse_contents(options: Mapping[str, Any]) -> None:
    """Raise ValueError for the contents of a file in place of its path. An error about the path would show the key."""
    for name in TLS_FILES:
        if any(mark in str(options.get(name, "")) for mark in ("BEGIN", "\n")):
            raise ValueError(f"ssl_{name} of the database is not a path: write the path of a file")


def boolean(name: str, value: Any) -> bool:
    return bool(choice(name, value, BOOLEANS))


def choice(name: str, value: Any, choices: Mapping[str, Any]) -> Any:
    try:
        return choices[str(value).lower()]
    except KeyError:
        raise ValueError(f"{name} of the database is {value!r}: write one of {', '.join(choices)}") from None


def refuse_changes(connection: Any, _record: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute("SET SESSION TRANSACTION READ ONLY")
    cursor.close()


def mark_unusable(context: ExceptionContext) -> None:
    """Treat the errors of a server that cannot serve as a lost connection."""
    arguments = getattr(context.original_exception, "args", None) or (None,)
    if arguments[0] in UNUSABLE_ERRORS:
        context.is_disconnect = True
