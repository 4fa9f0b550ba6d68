"""The kinds of settings: what each accepts, and what to write instead of a value that it refuses."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

from app.lib.i18n.catalogs import check_languages
from app.lib.logs import FORMATS
from app.lib.settings.base_url import Authority, BaseUrl, in_ascii
from app.lib.settings.mail import read_sender
from app.lib.settings.rate import Rate

TRUE, FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")
LIST = re.compile(r"""\s*[\[({'"].*[\])}'"]\s*""", re.DOTALL)  # of Python or JSON
BOOLEANS = dict.fromkeys(TRUE, True) | dict.fromkeys(FALSE, False)


class Kind(NamedTuple):
    """`read` returns the value of a setting, or raises. `advice` completes the sentence "Write …"."""

    read: Callable[[Any], Any]
    advice: str


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
    refuse_list(value)
    return read_several(read_key)(value)


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


def number(least: int, most: int) -> Kind:
    return Kind(within(lambda value: int(str(value)), least, most), f"a whole number from {least} to {most}")


def duration(least: timedelta, most: timedelta) -> Kind:
    bounds = f"from {least.total_seconds():.0f} to {most.total_seconds():.0f}"
    return Kind(within(read_duration, least, most), f"a number of seconds {bounds}, or a timedelta")


def within(read: Callable[[Any], Any], least: Any, most: Any) -> Callable[[Any], Any]:
    def read_within(value: Any) -> Any:
        found = read(value)
        if not least <= found <= most:
            raise ValueError
        return found

    return read_within


BOOLEAN = Kind(lambda value: BOOLEANS[str(value).strip().lower()], "True or False; in the environment 1 or 0")
NUMBER = Kind(lambda value: int(str(value)), "a whole number")
TEXT = Kind(read_text, "text in quotes")
OPTIONAL_TEXT = Kind(read_optional_text, "text in quotes, or None")
KEY = Kind(read_key, "text or bytes, such as the output of `openssl rand -hex 32`")
KEYS = Kind(read_keys, "a list of keys, each text or bytes; in the environment keys separated by commas")
SALT = Kind(read_salt, "the SECURITY_PASSWORD_SALT of the Flask-Security installation, text or bytes")
WORDS = Kind(read_words, "a tuple of texts; in the environment words separated by commas")
HOSTS = Kind(read_several(read_host), "hosts like www.example.com or www.example.com:8443")
DURATION = Kind(read_duration, "a number of seconds, or a timedelta")
DICT = Kind(read_dict, 'a dict; in the environment JSON like {"pool_size": 5}')
BIND = Kind(read_bind, "an IP address or a host with a port, like 127.0.0.1:5000, or unix:PATH, or fd://NUMBER")
URL = Kind(lambda value: str(BaseUrl.parse(read_text(value))), "a URL without a path, like https://www.example.com")
SERVER = Kind(read_server, "a host like db.example.com or db.example.com:3307, or the path of a Unix socket")
FORMAT = Kind(read_format, f"one of {', '.join(FORMATS)}")
RATE = Kind(read_rate, "a rate like '5 per 5 minutes'")
LANGUAGES = Kind(read_languages, "languages with a compiled catalog, like en,de")
SENDER = Kind(read_sender, "an e-mail address, 'Example <site@example.com>', or a tuple of a name and an address")
