"""Read the values of settings. Each function returns the value in its type, or raises."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from app.lib.i18n.catalogs import check_languages
from app.lib.logs import FORMATS
from app.lib.settings.base_url import Authority, in_ascii
from app.lib.settings.rate import Rate

TRUE, FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")
LIST = re.compile(r"""\s*[\[({'"].*[\])}'"]\s*""", re.DOTALL)  # of Python or JSON
KEY_SEPARATORS = re.compile(r"[,\r\n]")
BOOLEANS = dict.fromkeys(TRUE, True) | dict.fromkeys(FALSE, False)


def read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def read_optional_text(value: Any) -> str:
    return "" if value is None else read_text(value)


def read_key(value: Any) -> str:
    """Read a key as Flask does: text or bytes. Bytes that are not text become hexadecimal digits."""
    if not isinstance(value, bytes):
        return read_optional_text(value)
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.hex()


def read_salt(value: Any) -> str:
    """Read a salt as Flask-Security does: text or bytes. The hasher restores the same bytes."""
    return value.decode(errors="surrogateescape") if isinstance(value, bytes) else read_optional_text(value)


def read_several(read: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    def read_all(value: Any) -> tuple[Any, ...]:
        if value is None:
            return ()
        parts = value.split(",") if isinstance(value, str) else value
        return tuple(read(part) for part in parts if part.strip())

    return read_all


def read_word(value: Any) -> str:
    return read_text(value).strip()


def read_words(value: Any) -> tuple[str, ...]:
    """Read a tuple, or words separated by commas. Raises ValueError for text that is a Python or JSON list."""
    refuse_list(value)
    return read_several(read_word)(value)


def read_keys(value: Any) -> tuple[str, ...]:
    """Read keys, in text separated by commas or line breaks."""
    refuse_list(value)
    keys = map(str.strip, KEY_SEPARATORS.split(value)) if isinstance(value, str) else value
    return read_several(read_key)(keys)


def refuse_list(value: Any) -> None:
    if isinstance(value, str) and LIST.fullmatch(value):
        raise ValueError


def read_host(value: Any) -> str:
    host = in_ascii(read_word(value))
    Authority.parse(host)
    return host


def read_server(value: Any) -> str:
    if not read_text(value).startswith("/"):
        Authority.parse(value)
    return str(value)


def read_duration(value: Any) -> timedelta:
    return value if isinstance(value, timedelta) else timedelta(seconds=float(value))


def read_dict(value: Any) -> dict[str, Any]:
    return dict(json.loads(value) if isinstance(value, str) else value)


def read_bind(value: Any) -> str:
    """Read a bind address. Raises ValueError for one without a port."""
    if not read_text(value).startswith(("unix:", "fd://")) and Authority.parse(value).port is None:
        raise ValueError
    return str(value)


def read_rate(value: Any) -> str:
    Rate.parse(value)
    return str(value)


def read_format(value: Any) -> str:
    if value not in FORMATS:
        raise ValueError
    return str(value)


def read_languages(value: Any) -> tuple[str, ...]:
    languages = read_several(read_word)(value)
    check_languages(languages)
    return languages


def within(read: Callable[[Any], Any], least: Any, most: Any) -> Callable[[Any], Any]:
    def read_within(value: Any) -> Any:
        found = read(value)
        if not least <= found <= most:
            raise ValueError
        return found

    return read_within
