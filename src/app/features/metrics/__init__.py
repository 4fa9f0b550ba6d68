"""Metrics for Prometheus, at http://METRICS_BIND/metrics (docs/features/metrics.md)."""

import os
import sys
from importlib import import_module

from quart import Quart

from app.features.metrics import bind, folder
from app.lib.settings.loader import ConfigError
from app.services.extension_points import ExtensionPoints


def init_app(app: Quart) -> None:
    """Start to count, if METRICS_BIND is set. Otherwise import nothing more. Raises ConfigError."""
    points: ExtensionPoints = app.extensions["extension_points"]
    points.checks.append(bind.check)
    if not app.config["METRICS_BIND"]:
        return
    try:
        bind.parse(app.config)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    choose_folder(app)
    import_module(f"{__name__}.worker").init_app(app)


def choose_folder(app: Quart) -> None:
    """Set the environment variable that makes prometheus_client count in files, which it reads when it is imported.

    Raises ConfigError.
    """
    if folder.VARIABLE in os.environ:
        return
    if "prometheus_client" in sys.modules:
        raise ConfigError(
            f"prometheus_client was imported before the metrics: set {folder.VARIABLE} in the environment"
        )
    path = folder.default_path(app.instance_path, app.config["METRICS_BIND"])
    os.environ[folder.VARIABLE] = str(path)
