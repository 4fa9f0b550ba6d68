"""The options of a connection to MySQL or MariaDB, in the URL or in `connect_args`."""

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import aiomysql  # type: ignore[import-untyped]
from pymysql.constants import CLIENT

from app.lib.db.tls import OPTION_NAMES

OF_AIOMYSQL = inspect.signature(aiomysql.connect).parameters.keys() - {"loop", "cursorclass"}
OPTIONS_OF_DRIVER = {*OF_AIOMYSQL, *OPTION_NAMES, "async_creator_fn"}
NUMBERS: dict[str, Callable[[Any], float]] = {  # the functions that read them
    "connect_timeout": float,
    "port": int,
    "client_flag": lambda value: int(value) | CLIENT.FOUND_ROWS,  # SQLAlchemy counts the rows that an UPDATE matches
}
OTHER_NAMES = {  # of other drivers, in lower case
    "passwd": "password",
    "read_timeout": "the setting DATABASE_TIMEOUT",
    "write_timeout": "the setting DATABASE_TIMEOUT",
    "sslaccept": "ssl_mode",
    "tls": "ssl",
    "usessl": "ssl",
}


def check_names(names: Iterable[str]) -> None:
    """Raise ValueError for an option that is neither an argument of aiomysql nor a TLS option."""
    for name in names:
        if name not in OPTIONS_OF_DRIVER:
            similar = closest(name.lower().replace("-", "_"))
            advice = f"did you mean {similar}?" if similar else "remove it"
            raise ValueError(f"the database has no option {name}: {advice}")


def closest(name: str) -> str | None:
    similar = difflib.get_close_matches(name, sorted(OPTIONS_OF_DRIVER), n=1)
    return OTHER_NAMES.get(name) or (similar[0] if similar else None)


def read_numbers(options: Mapping[str, Any]) -> dict[str, float]:
    """Return the numeric options, converted if they are text. Raises ValueError."""
    numbers = {}
    for name in options.keys() & NUMBERS:
        try:
            numbers[name] = NUMBERS[name](options[name])
        except (TypeError, ValueError):
            raise ValueError(f"{name} of the database is {options[name]!r}: write a number") from None
    return numbers
