"""Where settings come from, and what stops the start."""

import json
import os
from collections.abc import Callable, Mapping, MutableMapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from quart import Quart
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from app import default_config
from app.base_url import Authority, BaseUrl
from app.secret_key import check_secret_keys, kept_secret_key

ROOT = Path(__file__).resolve().parents[2]
DEFAULTS = {key: value for key, value in vars(default_config).items() if key.isupper()}
TRUTH = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(("0", "false", "no", "off", ""), False)
ASYNC_DRIVERS = {"sqlite": "sqlite+aiosqlite", "mysql": "mysql+aiomysql", "mariadb": "mariadb+aiomysql"}


class ConfigError(Exception):
    """A setting that the program must not start with. Its text is one line for the person who set it."""


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
    except Exception as error:  # the file is Python: anything may come out of it
        raise ConfigError(f"instance/application.cfg.py: {type(error).__name__}: {error}") from error
    config.update({key: os.environ[f"QUART_{key}"] for key in DEFAULTS if f"QUART_{key}" in os.environ})
    config.update(overrides)
    config["INSTANCE_PATH"] = str(instance)
    try:
        config.update({key: _typed(key, config[key], default) for key, default in DEFAULTS.items()})
        _check_ranges(config)
        _derive(config, instance)
        database_url(config)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _typed(key: str, value: Any, default: Any) -> Any:
    """Give a value the type of its default, or raise ValueError."""
    try:
        return READERS[type(default)](value)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        secret = key in ("SECRET_KEY", "DB_PASSWORD", "SECURITY_PASSWORD_SALT")
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
    Authority.parse(config["BIND"])
    if config["WORKERS"] < 1 or config["TRUSTED_PROXIES"] < 0:
        raise ValueError("WORKERS is 1 at least, TRUSTED_PROXIES 0")
    if not 1 <= config["SECURITY_PASSWORD_LENGTH_MIN"] <= 256:
        raise ValueError("SECURITY_PASSWORD_LENGTH_MIN lies between 1 and 256")
    for key in ("SESSION_IDLE", "SESSION_LIFETIME", "REMEMBER_IDLE", "REMEMBER_LIFETIME"):
        # last_seen_on is written once a minute: a shorter time would log out a person in the middle of a visit.
        if not timedelta(minutes=2) <= config[key] <= timedelta(days=3650):
            raise ValueError(f"{key} lies between 2 minutes and ten years")
    for host in config["TRUSTED_HOSTS"]:
        Authority.parse(host)


def _derive(config: MutableMapping[str, Any], instance: Path) -> None:
    if config["SERVER_NAME"]:  # the original's key; left to Quart it would answer every other host with 404
        if config["BASE_URL"] == DEFAULTS["BASE_URL"]:
            config["BASE_URL"] = f"http://{config['SERVER_NAME']}"
        config["SERVER_NAME"] = None
    base_url = BaseUrl.parse(config["BASE_URL"])
    config["BASE_URL"] = str(base_url)

    if not config["SECRET_KEY"] and base_url.is_loopback:
        config["SECRET_KEY"] = kept_secret_key(instance)
    check_secret_keys([config["SECRET_KEY"], *config["SECRET_KEY_FALLBACKS"]])

    prefix = "__Host-" if base_url.is_secure else ""
    config["SESSION_COOKIE_NAME"] = f"{prefix}session"
    config["QUART_AUTH_COOKIE_NAME"] = f"{prefix}auth"
    config["SESSION_COOKIE_SECURE"] = config["QUART_AUTH_COOKIE_SECURE"] = base_url.is_secure
    config["SESSION_COOKIE_SAMESITE"] = "Lax"
    longest = max(config["SESSION_LIFETIME"], config["REMEMBER_LIFETIME"])
    config["QUART_AUTH_DURATION"] = int(longest.total_seconds())


def database_url(config: Mapping[str, Any]) -> URL:
    """Return the database's address for the drivers that we use. Raises ValueError."""
    try:
        url = make_url(config["SQLALCHEMY_DATABASE_URI"] or _url_of_parts(config))
    except ArgumentError:
        raise ValueError("SQLALCHEMY_DATABASE_URI is not a database address") from None
    backend = url.get_backend_name()
    if backend not in ASYNC_DRIVERS:
        raise ValueError(f"the database has to be SQLite, MySQL or MariaDB, not {backend}")
    if backend == "sqlite":
        if not url.database or url.database == ":memory:":
            raise ValueError("an SQLite database has to be a file: in memory every connection would see its own")
        if not url.database.startswith("file:"):
            url = url.set(database=str(Path(config["INSTANCE_PATH"], url.database)))
    return url.set(drivername=ASYNC_DRIVERS[backend])


def _url_of_parts(config: Mapping[str, Any]) -> URL:
    if not config["DB_NAME"]:
        return URL.create("sqlite", database="app.db")
    try:
        server = urlsplit(f"//{config['DB_SERVER']}")
        host, port = server.hostname, server.port
    except ValueError:
        raise ValueError(f"DB_SERVER is {config['DB_SERVER']!r}; it has to be a host or host:port") from None
    return URL.create(
        config["SQLALCHEMY_DB_PREFIX"],
        username=config["DB_USERNAME"] or None,
        password=config["DB_PASSWORD"] or None,
        host=host,
        port=port,
        database=config["DB_NAME"],
    )
