"""Load the settings from their four sources, and refuse values that the app must not start with."""

import os
import re
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from types import ModuleType
from typing import Any

from quart import Quart
from quart.cli import load_dotenv
from quart.helpers import get_load_dotenv

from app.lib.db.url import database_url
from app.lib.settings import table, unknown_names
from app.lib.settings.base_url import BaseUrl
from app.lib.settings.environment import settings_from_environment, variables
from app.lib.settings.instance_file import load_instance_file
from app.lib.settings.mail import derive_mail
from app.lib.settings.secret_key import check_secret_key, load_or_create_secret_key

ROOT = Path(__file__).resolve().parents[4]
ENV_FILES = (".env", ".quartenv")
BIND_PORT = re.compile(r"[^/]*:([0-9]+)")


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


def load_env_files() -> None:
    """Add the variables of `.env` and `.quartenv` to the environment, as the `quart` command does. Raises ConfigError.

    Quart reads them if python-dotenv is installed, and otherwise prints a hint. QUART_SKIP_DOTENV switches that off.
    """
    for path in map(ROOT.joinpath, ENV_FILES):
        try:
            if get_load_dotenv() and path.is_file():
                load_dotenv(path)
        except OSError as error:
            raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise ConfigError(f"{path} is not text in UTF-8: save it in UTF-8") from error


def load(app: Quart, defaults: Mapping[str, Any], overrides: Mapping[str, Any]) -> None:
    """Fill the config of the app, and derive the settings that depend on others. Raises ConfigError."""
    config, instance, initial = app.config, Path(app.instance_path), dict(app.config)
    app.extensions["default_settings"] = defaults
    config.update({key: default for key, default in defaults.items() if key != "BASE_URL"})  # derived if not set
    try:
        load_instance_file(app)
        config.update(settings_from_environment(defaults))
        config.update(overrides)
        config["INSTANCE_PATH"] = str(instance)
        config.setdefault("BASE_URL", _derive_base_url(config, defaults))
        config["SERVER_NAME"] = None  # Quart would respond with 404 to every other host
        config.update({key: table.read(key, config[key], default) for key, default in defaults.items()})
        table.check_exclusions(config)
        _derive(config, instance, initial)
        database_url(config)
    except (ValueError, OSError) as error:
        raise ConfigError(str(error)) from error


def unknown_settings(app: Quart) -> Iterator[tuple[str, str | None]]:
    """Yield the names of settings that do not exist, from every source, each with the closest name that does."""
    defaults = app.extensions["default_settings"]
    of_environment = {name for name in os.environ if name.startswith("QUART_")}
    variables_of_site = unknown_names.QUART_VARIABLES.union(*map(variables, defaults))
    yield from unknown_names.unknown(of_environment, variables_of_site, defaults=defaults)
    known = set(defaults) | set(app.default_config) | unknown_names.ACCEPTED_NAMES
    yield from unknown_names.unknown(app.config, known, defaults=defaults)


def _derive_base_url(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """Return the BASE_URL of a site that sets none: SERVER_NAME of the Flask boilerplate, or the port of BIND."""
    if config["SERVER_NAME"]:
        return f"http://{config['SERVER_NAME']}"
    port = BIND_PORT.fullmatch(str(config["BIND"])) if config["BIND"] != defaults["BIND"] else None
    if port and BaseUrl.parse(defaults["BASE_URL"]).is_loopback:
        return f"http://localhost:{port[1]}"
    return str(defaults["BASE_URL"])


def _derive(config: MutableMapping[str, Any], instance: Path, initial: Mapping[str, Any]) -> None:
    base_url = BaseUrl.parse(config["BASE_URL"])
    if config["DEBUG"] or config["LOG_FORMAT"] == "console":
        config["TEMPLATES_AUTO_RELOAD"] = True

    derive_mail(config, loopback=base_url.is_loopback)
    if config["DEBUG"] and not base_url.is_loopback:
        raise ValueError("DEBUG shows tracebacks to every client: it needs a loopback BASE_URL")
    if not config["SECRET_KEY"] and base_url.is_loopback:
        config["SECRET_KEY"] = load_or_create_secret_key(instance)
    check_secret_key("SECRET_KEY", config["SECRET_KEY"])
    for key in config["SECRET_KEY_FALLBACKS"]:
        check_secret_key("SECRET_KEY_FALLBACKS", key)

    table.derive_cookies(config, initial, is_secure=base_url.is_secure)
    longest = max(config["SESSION_LIFETIME"], config["REMEMBER_LIFETIME"])
    config["QUART_AUTH_DURATION"] = int(longest.total_seconds())
