"""The parts of the site that can be deleted, one folder each: `make without FEATURE=second_factor`.

A feature is a package with `init_app(app)`, which registers its blueprints and fills the extension points. It may have
models.py and default_config.py. The setting FEATURES names the features that are switched on. The tables of the others
stay. Only this module imports features, and no feature imports another.
"""

import pkgutil
from importlib import import_module
from typing import Any

from quart import Quart

from app.lib.settings.loader import ConfigError, defaults_of
from app.services.extension_points import ExtensionPoints

NAMES = [module.name for module in pkgutil.iter_modules(__path__) if module.ispkg]


def _modules(name: str) -> list[Any]:
    """Return the module of this name from each feature that has one."""
    packages = {feature: import_module(f"{__name__}.{feature}") for feature in NAMES}
    having = [feature for feature, package in packages.items() if _has_module(package, name)]
    return [import_module(f"{__name__}.{feature}.{name}") for feature in having]


def _has_module(package: Any, name: str) -> bool:
    return any(module.name == name for module in pkgutil.iter_modules(package.__path__))


def import_models() -> None:
    """Define the tables of every feature. Migrations need them even if a feature is switched off."""
    _modules("models")


def default_settings() -> dict[str, Any]:
    """Return the settings of every feature with their defaults."""
    return {key: value for module in _modules("default_config") for key, value in defaults_of(module).items()}


def init_app(app: Quart) -> None:
    """Add the features that the setting FEATURES names. Raises ConfigError for an unknown name."""
    app.extensions["extension_points"] = ExtensionPoints()
    for name in app.config["FEATURES"]:
        if name not in NAMES:
            raise ConfigError(f"FEATURES names {name!r}, which is not a folder of src/app/features: {', '.join(NAMES)}")
        import_module(f"{__name__}.{name}").init_app(app)
