"""The kind of each setting, the settings that exclude each other, and those for which one value is right."""

import re
from collections.abc import Mapping, MutableMapping
from datetime import timedelta
from typing import Any

from quart import Quart

from app.lib.i18n.catalogs import UnknownLanguage
from app.lib.settings import kinds
from app.lib.settings.kinds import Kind, duration, number

MIN_SESSION = timedelta(minutes=2)  # last_seen_on is written once a minute: a shorter session would end during use
MAX_SESSION = timedelta(days=3650)
SESSION_DURATION = duration(MIN_SESSION, MAX_SESSION)

KINDS: dict[str, Kind] = {
    "BIND": kinds.BIND,
    "WORKERS": number(1, 1000),
    "LOG_FORMAT": kinds.FORMAT,
    "BASE_URL": kinds.URL,
    "TRUSTED_HOSTS": kinds.HOSTS,
    "TRUSTED_PROXIES": number(0, 100),
    "LANGUAGES": kinds.LANGUAGES,
    "SECRET_KEY": kinds.KEY,
    "SECRET_KEY_FALLBACKS": kinds.KEYS,
    "DB_NAME": kinds.OPTIONAL_TEXT,
    "DB_USERNAME": kinds.OPTIONAL_TEXT,
    "DB_PASSWORD": kinds.OPTIONAL_TEXT,
    "DB_SERVER": kinds.SERVER,
    "SQLALCHEMY_DATABASE_URI": kinds.OPTIONAL_TEXT,
    "DATABASE_TIMEOUT": duration(timedelta(seconds=1), timedelta(minutes=1)),
    "SECURITY_FRESHNESS": number(1, 60 * 24),
    "SECURITY_PASSWORD_LENGTH_MIN": number(1, 256),
    "SECURITY_PASSWORD_SALT": kinds.SALT,
    "MAIL_SERVER": kinds.MAIL_SERVER,
    "MAIL_PORT": number(1, 65535),
    "MAIL_USERNAME": kinds.OPTIONAL_TEXT,
    "MAIL_PASSWORD": kinds.OPTIONAL_TEXT,
    "MAIL_DEFAULT_SENDER": kinds.SENDER,
    "MAIL_REPLY_TO": kinds.SENDER,
    "SESSION_IDLE": SESSION_DURATION,
    "SESSION_LIFETIME": SESSION_DURATION,
    "REMEMBER_IDLE": SESSION_DURATION,
    "REMEMBER_LIFETIME": SESSION_DURATION,
}
# The kind of a setting that is not in the table, such as one of your own: that of its default.
KINDS_OF_TYPES = {
    bool: kinds.BOOLEAN,
    int: kinds.NUMBER,
    str: kinds.TEXT,
    tuple: kinds.WORDS,
    dict: kinds.DICT,
    timedelta: kinds.DURATION,
}
# Never shown in an error.
SECRETS = {"SECRET_KEY", "SECRET_KEY_FALLBACKS", "SECURITY_PASSWORD_SALT", "MAIL_PASSWORD"}
SECRETS |= {"DB_PASSWORD", "SQLALCHEMY_DATABASE_URI", "SQLALCHEMY_ENGINE_OPTIONS"}
CREDENTIALS = re.compile(r"^([\[('\"]*(?:\w+://)?).*@")  # of https://user:password@host or user:password@host

EXCLUSIVE = (("MAIL_USE_TLS", "MAIL_USE_SSL"),)
# Settings of Quart and quart-auth for which only one value works, and why.
ONE_HOST = "cookies are for one host and all of its paths: with https, browsers drop a __Host- cookie that is not"
NO_SCRIPT = "a script that an attacker injects must not read the cookie"
ROOT_ONLY = "the site is served at the root of its host"
FIXED: dict[str, tuple[Any, str]] = {
    "APPLICATION_ROOT": ("/", ROOT_ONLY),
    "SESSION_COOKIE_DOMAIN": (None, ONE_HOST),
    "SESSION_COOKIE_PATH": ("/", ONE_HOST),
    "SESSION_COOKIE_HTTPONLY": (True, NO_SCRIPT),
    "QUART_AUTH_MODE": ("cookie", "a browser sends no bearer token"),
    "QUART_AUTH_COOKIE_DOMAIN": (None, ONE_HOST),
    "QUART_AUTH_COOKIE_PATH": ("/", ONE_HOST),
    "QUART_AUTH_COOKIE_HTTP_ONLY": (True, NO_SCRIPT),
    "QUART_AUTH_COOKIE_SAMESITE": ("Lax", "with None forms of other sites carry the cookie, with Strict links do not"),
}


def read(key: str, value: Any, default: Any) -> Any:
    """Return the value of a setting in the type of its default. Raises ValueError with what to write instead."""
    kind = kinds.RATE if key.startswith("RATE_LIMIT_") else KINDS.get(key, KINDS_OF_TYPES.get(type(default)))
    if kind is None:
        return value
    try:
        return kind.read(value)
    except UnknownLanguage as error:
        raise ValueError(f"{key} is {shown(key, value)}: write {kind.advice}; {error}") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        is_wrong = "is wrong" if key in SECRETS else f"is {shown(key, value)}"
        raise ValueError(f"{key} {is_wrong}: write {kind.advice}") from None


def shown(key: str, value: Any) -> str:
    """Return a value for a message, without the user and the password of a URL or a host."""
    return repr(value) if KINDS.get(key) is kinds.SENDER else CREDENTIALS.sub(r"\1***@", repr(value))


def check_exclusions(config: Mapping[str, Any]) -> None:
    """Raise ValueError for settings that contradict each other."""
    for one, other in EXCLUSIVE:
        if config[one] and config[other]:
            raise ValueError(f"{one} and {other} exclude each other: set one of them to False")
    for key, (value, reason) in FIXED.items():
        if config.get(key, value) not in (value, Quart.default_config.get(key, value)):
            raise ValueError(f"{key} is {config[key]!r}: remove it, because {reason}")


def derive_cookies(config: MutableMapping[str, Any], initial: Mapping[str, Any], *, is_secure: bool) -> None:
    """Set the names and attributes of the cookies. Raises ValueError if the settings contradict them."""
    config["COOKIE_PREFIX"] = prefix = "__Host-" if is_secure else ""
    derived = {
        "SESSION_COOKIE_NAME": f"{prefix}session",
        "SESSION_COOKIE_SECURE": is_secure,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "QUART_AUTH_COOKIE_NAME": f"{prefix}auth",
        "QUART_AUTH_COOKIE_SECURE": is_secure,
    }
    for key, value in derived.items():
        if config.get(key, value) not in (value, initial.get(key, value)):
            raise ValueError(f"{key} is {config[key]!r}: remove it, because it follows from BASE_URL and is {value!r}")
    config.update(derived)
