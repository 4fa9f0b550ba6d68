"""Load the settings from their four sources, and refuse values that the app must not start with."""

import json
import os
from collections.abc import Callable, Mapping, MutableMapping
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

from quart import Quart

from app.lib.db.url import database_url
from app.lib.i18n.catalogs import check_languages
from app.lib.logs import FORMATS
from app.lib.settings.base_url import Authority, BaseUrl
from app.lib.settings.mail import derive_mail
from app.lib.settings.rate import Rate
from app.lib.settings.secret_key import check_secret_key, load_or_create_secret_key

ROOT = Path(__file__).resolve().parents[4]
BOOLEANS = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(("0", "false", "no", "off", ""), False)
SECRETS = ("SECRET_KEY", "DB_PASSWORD", "MAIL_PASSWORD", "SECURITY_PASSWORD_SALT")  # never shown in an error

MIN_SESSION = timedelta(minutes=2)  # last_seen_on is written once a minute: a shorter session would end during use
MAX_SESSION = timedelta(days=3650)
RANGES: dict[str, tuple[Any, Any]] = {
    "WORKERS": (1, 1000),
    "TRUSTED_PROXIES": (0, 100),
    "SECURITY_PASSWORD_LENGTH_MIN": (1, 256),
    "SECURITY_FRESHNESS": (1, 60 * 24),
    "MAIL_PORT": (1, 65535),
    "DATABASE_TIMEOUT": (timedelta(seconds=1), timedelta(minutes=1)),
    "SESSION_IDLE": (MIN_SESSION, MAX_SESSION),
    "SESSION_LIFETIME": (MIN_SESSION, MAX_SESSION),
    "REMEMBER_IDLE": (MIN_SESSION, MAX_SESSION),
    "REMEMBER_LIFETIME": (MIN_SESSION, MAX_SESSION),
}


class ConfigError(Exception):
    """A setting that the app must not start with. The text is one line for the operator."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


def defaults_of(module: ModuleType) -> dict[str, Any]:
    """Return the settings of default_config.py with their defaults."""
    return {key: value for key, value in vars(module).items() if key.isupper()}


def instance_path(overrides: Mapping[str, Any]) -> Path:
    """Return the folder of application.cfg.py, the SQLite database and the generated secret key."""
    chosen = overrides.get("INSTANCE_PATH") or os.environ.get("QUART_INSTANCE_PATH") or ROOT / "instance"
    return Path(chosen).resolve()


def load(app: Quart, defaults: Mapping[str, Any], overrides: Mapping[str, Any]) -> None:
    """Fill the config of the app, and derive the settings that depend on others. Raises ConfigError."""
    config, instance = app.config, Path(app.instance_path)
    config.update(defaults)
    try:
        config.from_pyfile(str(instance / "application.cfg.py"), silent=True)
    except (Exception, SystemExit) as error:  # the file is Python, which may raise anything
        raise ConfigError(f"instance/application.cfg.py: {type(error).__name__}: {error}") from error
    config.update({key: os.environ[f"QUART_{key}"] for key in defaults if f"QUART_{key}" in os.environ})
    config.update(overrides)
    config["INSTANCE_PATH"] = str(instance)
    try:
        config.update({key: _coerce(key, config[key], default) for key, default in defaults.items()})
        _check_ranges(config)
        _derive(config, instance, default_base_url=defaults["BASE_URL"])
        database_url(config)
    except (ValueError, OSError) as error:
        raise ConfigError(str(error)) from error


def _coerce(key: str, value: Any, default: Any) -> Any:
    """Return a value with the type of its default. Raises ValueError."""
    try:
        return READERS[type(default)](value)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        is_wrong = "is wrong" if key in SECRETS else f"is {value!r}"
        raise ValueError(f"{key} {is_wrong}; it must be like {default!r}") from None


def _read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _read_words(value: Any) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    return tuple(part.strip() for part in parts if part.strip())


READERS: dict[type, Callable[[Any], Any]] = {
    bool: lambda value: BOOLEANS[str(value).strip().lower()],
    int: lambda value: int(str(value)),
    str: _read_text,
    tuple: _read_words,
    dict: lambda value: dict(json.loads(value) if isinstance(value, str) else value),
    timedelta: lambda value: value if isinstance(value, timedelta) else timedelta(seconds=float(value)),
}


def _check_ranges(config: Mapping[str, Any]) -> None:
    check_bind(config["BIND"])
    if config["LOG_FORMAT"] not in FORMATS:
        raise ValueError(f"LOG_FORMAT is {config['LOG_FORMAT']!r}; it must be one of {', '.join(FORMATS)}")
    check_languages(config["LANGUAGES"])
    for host in config["TRUSTED_HOSTS"]:
        Authority.parse(host, name="TRUSTED_HOSTS")
    for key, (least, most) in RANGES.items():
        if not least <= config[key] <= most:
            raise ValueError(f"{key} must be between {least} and {most}")
    for key in filter(lambda key: key.startswith("RATE_LIMIT_"), config):
        Rate.parse(config[key], name=key)


def check_bind(bind: str) -> None:
    """Raise ValueError for an invalid bind address."""
    if not bind.startswith(("unix:", "fd://")) and Authority.parse(bind, name="BIND").port is None:
        raise ValueError(f"BIND is {bind!r}; it must include a port, like 127.0.0.1:5000")


def _derive(config: MutableMapping[str, Any], instance: Path, *, default_base_url: str) -> None:
    if config["SERVER_NAME"] and config["BASE_URL"] == default_base_url:  # the key of the Flask boilerplate
        config["BASE_URL"] = f"http://{config['SERVER_NAME']}"
    config["SERVER_NAME"] = None  # Quart would respond with 404 to every other host
    base_url = BaseUrl.parse(config["BASE_URL"])
    config["BASE_URL"] = str(base_url)

    derive_mail(config, loopback=base_url.is_loopback)
    if config["DEBUG"] and not base_url.is_loopback:
        raise ValueError("DEBUG shows tracebacks to every client: it needs a loopback BASE_URL")
    if not config["SECRET_KEY"] and base_url.is_loopback:
        config["SECRET_KEY"] = load_or_create_secret_key(instance)
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
