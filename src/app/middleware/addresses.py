"""Addresses in templates: a page has many of them, and each is put together once."""

from collections.abc import Callable
from typing import Any

from quart import Quart, current_app, has_request_context, request, url_for


class Addresses:
    def __init__(self, version_of: Callable[[str], str | None]) -> None:
        self.version_of = version_of  # of a static file, which its address names
        self.known: dict[tuple[str, str, str], tuple[str | None, str]] = {}

    def url_for(self, endpoint: str, **values: Any) -> str:
        """Return what Quart's url_for returns."""
        is_file = endpoint == "static" and [*values] == ["filename"]
        version = self.version_of(values["filename"]) if is_file else None
        if not has_request_context() or endpoint.startswith(".") or (values and version is None):
            return url_for(endpoint, **values)
        return self._address(endpoint, values, version)

    def _address(self, endpoint: str, values: dict[str, Any], version: str | None) -> str:
        which = (request.root_path, endpoint, values.get("filename", ""))
        known, url = self.known.get(which, (None, ""))
        if not url or known != version:
            url = url_for(endpoint, **values)
            if url[:1] == "/" != url[1:2] and is_always_the_same(current_app, endpoint):  # a full one names the host
                self.known[which] = version, url
        return url


def is_always_the_same(app: Quart, endpoint: str) -> bool:
    """Say whether the address of an endpoint without values depends on nothing but where the site is."""
    defaults = sum(map(len, app.url_default_functions.values()))  # one is that of static_files.py
    matching = app.subdomain_matching or app.url_map.host_matching or app.url_build_error_handlers
    return defaults <= 1 and not matching and len(list(app.url_map.iter_rules(endpoint))) == 1
