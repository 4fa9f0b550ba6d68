"""Check SQLALCHEMY_ENGINE_OPTIONS at the start. Otherwise a wrong value fails at the first connection, or later."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import URL

SIZES, SECONDS = ("pool_size", "max_overflow"), ("pool_recycle", "pool_timeout")
ISOLATION_LEVELS = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")
SQLITE_ISOLATION_LEVELS = ("SERIALIZABLE",)


def check_options(url: URL, options: Mapping[str, Any]) -> None:
    """Raise ValueError for an invalid value. The message names the valid ones."""
    for name in (*SIZES, *SECONDS):
        value = options.get(name, 0)
        if type(value) is not int and not (name in SECONDS and type(value) is float):
            raise ValueError(f"{name} is {value!r}: write a number, without quotes")
    check_isolation_level(url, options)
    check_isolation_level(url, dict(options.get("execution_options") or {}))


def check_isolation_level(url: URL, options: Mapping[str, Any]) -> None:
    """Raise ValueError for an unsupported level, such as AUTOCOMMIT: a rollback would undo nothing."""
    levels = SQLITE_ISOLATION_LEVELS if url.get_backend_name() == "sqlite" else ISOLATION_LEVELS
    level = options.get("isolation_level", levels[0])
    if str(level).replace("_", " ") not in levels:
        raise ValueError(f"isolation_level is {level!r}: write {' or '.join(levels)}")
