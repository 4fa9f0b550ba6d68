"""Settings: where they come from, what they may contain, and how to read them without Quart."""

from collections.abc import Mapping
from typing import Any

from quart import current_app


def current_settings() -> Mapping[str, Any]:
    """Return the settings of the running app. Service functions use this and import nothing from Quart."""
    return current_app.config


def current_extension(name: str) -> Any:
    """Return what an extension has stored in the running app."""
    return current_app.extensions[name]
