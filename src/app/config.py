"""Where settings come from, and what stops the start."""

import json
import os
from collections.abc import Callable, Mapping, MutableMapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from quart import Quart

from app import default_config
from app.base_url import Authority, BaseUrl
from app.database_url import database_url
from app.events import FORMATS
from app.languages import check_languages
from app.mail_settings import derive_mail
from app.rate import Rate
from app.secret_key import check_secret_key, kept_secret_key

ROOT = Path(__file__).resolve().parents[2]
DEFAULTS = {key: value for key, value in vars(default_config).items() if key.isupper()}
TRUTH = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(("0", "false", "no", "off", ""), False)


A_VISIT = timedelta(minutes=2)  # last_seen_on is written once a minute: less would log a person out in the middle
TEN_YEARS = timedelta(days=3650)
RANGES: dict[str, tuple[Any, Any]] = {
    "WORKERS": (1, 1000),
    "TRUSTED_PROXIES": (0, 100),
    "SECURITY_PASSWORD_LENGTH_MIN": (1, 256),
    "SECURITY_FRESHNESS": (1, 60 * 24),
    "MAIL_PORT": (1, 65535),
    "DATABASE_TIMEOUT": (timedelta(seconds=1), timedelta(minutes=1)),
    "SESSION_IDLE": (A_VISIT, TEN_YEARS),
    "SESSION_LIFETIME": (A_VISIT, TEN_YEARS),
    "REMEMBER_IDLE": (A_VISIT, TEN_YEARS),
    "REMEMBER_LIFETIME": (A_VISIT, TEN_YEARS),
}


class ConfigError(Exception):
    """A setting that the program must not start with. Its text is one line for the person who set it."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


def instance_path(overrides: Mapping[str, Any]) -> Path:
    """Return the folder of the private files: settings, the embedded database, the kept key."""
    chosen = overrides.get("INSTANCE_PATH") or os.environ.get("QUART_INSTANCE_PATH") or ROOT / "instance"
    return Path(chosen).resolve()


def load(app: Quart, overrides: Mapping[str, Any]) -> None:
    """Fill the app's config from its four sources and derive what follows from them. Raises ConfigError."""
    config, instance = app.config, Path(app.instance_path)
    config.from_object(default_config)
    try:
        config.from_pyfile(str(instance / "application.cfg.py"), silent=True)
    except (Exception, SystemExit) as error:  # the file is Python: anything may come out of it
        raise ConfigError(f"instance/application.cfg.py: {type(error).__name__}: {error}") from error
    config.update({key: os.environ[f"QUART_{key}"] for key in DEFAULTS if f"QUART_{key}" in os.environ})
    config.update(overrides)
    config["INSTANCE_PATH"] = str(instance)
    try:
        config.update({key: _typed(key, config[key], default) for key, default in DEFAULTS.items()})
        _check_ranges(config)
        _derive(config, instance)
        database_url(config)
    except (ValueError, OSError) as error:
        raise ConfigError(str(error)) from error


def _typed(key: str, value: Any, default: Any) -> Any:
    """Give a value the type of its default, or raise ValueError."""
    try:
        return READERS[type(default)](value)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        secret = key in ("SECRET_KEY", "DB_PASSWORD", "MAIL_PASSWORD", "SECURITY_PASSWORD_SALT")
        is_wrong = "is wrong" if secret else f"is {value!r}"
        raise ValueError(f"{key} {is_wrong}; it has to be like {default!r}") from None


def _read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _read_words(value: Any) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    return tuple(part.strip() for part in parts if part.strip())


READERS: dict[type, Callable[[Any], Any]] = {
    bool: lambda value: TRUTH[str(value).strip().lower()],
    int: lambda value: int(str(value)),
    str: _read_text,
    tuple: _read_words,
    dict: lambda value: dict(json.loads(value) if isinstance(value, str) else value),
    timedelta: lambda value: value if isinstance(value, timedelta) else timedelta(seconds=float(value)),
}


def _check_ranges(config: Mapping[str, Any]) -> None:
    check_bind(config["BIND"])
    if config["LOG_FORMAT"] not in FORMATS:
        raise ValueError(f"LOG_FORMAT is {config['LOG_FORMAT']!r}; it is one of {', '.join(FORMATS)}")
    check_languages(config["LANGUAGES"])
    for host in config["TRUSTED_HOSTS"]:
        Authority.parse(host, name="TRUSTED_HOSTS")
    for key, (least, most) in RANGES.items():
        if not least <= config[key] <= most:
            raise ValueError(f"{key} lies between {least} and {most}")
    for key in filter(lambda key: key.startswith("THROTTLE_"), DEFAULTS):
        Rate.parse(config[key], name=key)


def check_bind(bind: str) -> None:
    """Raise ValueError for an address that nobody can listen on."""
    if not bind.startswith(("unix:", "fd://")) and Authority.parse(bind, name="BIND").port is None:
        raise ValueError(f"BIND is {bind!r}; it has to name a port too, like 127.0.0.1:5000")


def _derive(config: MutableMapping[str, Any], instance: Path) -> None:
    if config["SERVER_NAME"] and config["BASE_URL"] == DEFAULTS["BASE_URL"]:  # the original's key
        config["BASE_URL"] = f"http://{config['SERVER_NAME']}"
    config["SERVER_NAME"] = None  # with it Quart would answer every other host with 404
    base_url = BaseUrl.parse(config["BASE_URL"])
    config["BASE_URL"] = str(base_url)

    derive_mail(config, loopback=base_url.is_loopback)
    if config["DEBUG"] and not base_url.is_loopback:
        raise ValueError("DEBUG shows tracebacks to visitors: it goes only with a loopback BASE_URL")
    if not config["SECRET_KEY"] and base_url.is_loopback:
        config["SECRET_KEY"] = kept_secret_key(instance)
    check_secret_key("SECRET_KEY", config["SECRET_KEY"])
    for key in config["SECRET_KEY_FALLBACKS"]:
        check_secret_key("SECRET_KEY_FALLBACKS", key)

    config["COOKIE_PREFIX"] = prefix = "__Host-" if base_url.is_secure else ""
    config["SESSION_COOKIE_NAME"] = f"{prefix}session"
    config["QUART_AUTH_COOKIE_NAME"] = f"{prefix}auth"
    config["SESSION_COOKIE_SECURE"] = config["QUART_AUTH_COOKIE_SECURE"] = base_url.is_secure
    config["SESSION_COOKIE_SAMESITE"] = "Lax"
    longest = max(config["SESSION_LIFETIME"], config["REMEMBER_LIFETIME"])
    config["QUART_AUTH_DURATION"] = int(longest.total_seconds())
