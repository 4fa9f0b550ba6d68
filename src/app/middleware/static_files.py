"""Static files under an address that names their content, so that browsers may keep them for a year."""

import hashlib
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

from quart import Quart, Response, has_request_context, request
from quart.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from quart.wrappers.base import BaseRequestWebsocket
from werkzeug.wrappers import Response as WerkzeugResponse

from app.middleware.addresses import Addresses

LATELY = 1  # seconds


class Versions:
    """What the files in a folder contain, in a word each."""

    def __init__(self, folder: str | None) -> None:
        self.folder = Path(folder or "")
        self.lately: dict[str, tuple[float, str]] = {}  # when we looked, by time.monotonic(), and what we saw

    def version(self, filename: str) -> str | None:
        """Return the version of a file, or None if it cannot be read: the link will lead to our 404."""
        try:
            path = self.folder / filename
            return _digest(path, path.stat().st_mtime_ns)
        except (OSError, ValueError):
            return None

    def version_lately(self, filename: str) -> str | None:
        """Return what the version was within the last second, for links: a page has many, to the same few files."""
        now = time.monotonic()
        looked, version = self.lately.get(filename, (0.0, ""))
        if version and now - looked < LATELY:
            return version
        if found := self.version(filename):  # what cannot be read is not remembered: any name may be asked for
            self.lately[filename] = now, found
        return found

    def name_in_url(self, endpoint: str, values: dict[str, Any]) -> None:
        if endpoint == "static":
            values.setdefault("v", self.version_lately(values["filename"]))

    async def set_caching(self, response: Response) -> Response:
        if request.endpoint == "static" and response.status_code in (200, 206, 304):
            filename = (request.view_args or {})["filename"]
            named = request.args.get("v") == self.version(filename)
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if named else "no-cache"
            response.headers.pop("Expires", None)  # Quart's twelve hours, which Cache-Control overrules
        return response


@lru_cache(maxsize=256)
def _digest(path: Path, _changed_at: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


class CookieSession(SecureCookieSessionInterface):
    """Quart's session, which costs nothing where there is none.

    Files have none. Quart 0.23 takes it for read at every request, and they would be fetched anew after a log-in.
    """

    async def open_session(self, app: Quart, request: BaseRequestWebsocket) -> SecureCookieSession | None:
        if self.get_cookie_name(app) not in request.cookies:
            return SecureCookieSession()
        return await super().open_session(app, request)

    async def save_session(
        self, app: Quart, session: SessionMixin, response: Response | WerkzeugResponse | None
    ) -> None:
        is_file = has_request_context() and request.endpoint == "static"
        if response is None or not is_file or response.status_code not in (200, 206, 304):
            await super().save_session(app, session, response)


def init_app(app: Quart) -> None:
    app.session_interface = CookieSession()
    versions = Versions(app.static_folder)
    app.url_defaults(versions.name_in_url)
    app.add_template_global(Addresses(versions.version_lately).url_for)
    app.after_request(versions.set_caching)
