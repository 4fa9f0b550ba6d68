"""Static files: a version in each URL, so that browsers keep a file for a year, and text compressed once."""

import asyncio
import gzip
import hashlib
import os
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from quart import Blueprint, Quart, Response, current_app, has_request_context, request
from quart.sessions import SecureCookieSessionInterface, SessionMixin
from quart.wrappers.response import FileBody
from werkzeug.wrappers import Response as WerkzeugResponse

STATIC_VIEWS = {Quart.send_static_file, Blueprint.send_static_file}
FILE_STATUSES = (200, 206, 304)  # with any other, the response is an error page
TEXT_TYPES = {"application/javascript", "application/json", "application/xml", "image/svg+xml"}  # and text/*
MAX_TEXT_SIZE_BYTES = 1024 * 1024  # 64 compressed files stay in memory; a proxy may compress larger ones
MAX_HEADER_LENGTH = 200  # of Accept-Encoding: browsers send 25 characters, and Werkzeug is slow on 50,000


class Versions:
    """The versions of the files in the static folders: a digest of the content of each."""

    def __init__(self, app: Quart) -> None:
        self.app, self.folder, self.url_path = app, app.static_folder, app.static_url_path

    def version(self, filename: str, *, endpoint: str = "static") -> str | None:
        """Return the version of a file, or None if it cannot be read: the link then leads to a 404."""
        blueprint = endpoint.rpartition(".")[0]
        folder = self.app.blueprints[blueprint].static_folder if blueprint else self.folder
        path = os.path.normpath(f"{folder}/{filename}")  # as Quart finds the file
        try:
            return _digest(path, os.stat(path).st_mtime_ns)  # noqa: PTH116 # six links a page: pathlib takes 0.1 ms
        except (OSError, ValueError):
            return None

    def static_url(self, filename: str) -> str:
        """Return the URL of a file, for templates. `url_for` does too, and takes ten times as long."""
        version = self.version(filename)
        return f"{request.root_path}{self.url_path}/{quote(filename)}{f'?v={version}' if version else ''}"

    def add_to_url(self, endpoint: str, values: dict[str, Any]) -> None:
        if is_static(self.app, endpoint):
            values.setdefault("v", self.version(values["filename"], endpoint=endpoint))

    async def set_caching(self, response: Response) -> Response:
        """Let browsers keep a file for a year under the URL with its version, and revalidate it under any other."""
        if is_static_file(response):
            version = self.version((request.view_args or {})["filename"], endpoint=request.endpoint or "")
            is_current = version is not None and request.args.get("v") == version
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if is_current else "no-cache"
            response.headers.pop("Expires", None)  # Cache-Control overrules Quart's twelve hours
        return response


@lru_cache(maxsize=256)
def _digest(path: str, _mtime_ns: int) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]


def is_static(app: Quart, endpoint: str | None) -> bool:
    """Return whether an endpoint serves the static folder of the app or of a blueprint, whatever its name is."""
    return getattr(app.view_functions.get(endpoint or ""), "__func__", None) in STATIC_VIEWS


def is_static_file(response: Response | WerkzeugResponse) -> bool:
    """Return whether the response is a static file."""
    return is_static(current_app, request.endpoint) and response.status_code in FILE_STATUSES


async def compress(response: Response) -> Response:
    """Compress a static text file for a client that accepts gzip.

    Pages are never compressed here: one with a user's data and words of an attacker reveals the data by its length
    (BREACH). The compressed bytes have an ETag and no date, so that no Range request can join them to the file's.
    """
    if not is_static_file(response) or not is_text(response.mimetype or ""):
        return response
    response.vary.add("Accept-Encoding")
    file, size = response.response, response.content_length or 0
    if isinstance(file, FileBody) and size <= MAX_TEXT_SIZE_BYTES and accepts_gzip() and "Range" not in request.headers:
        response.set_etag(f"{response.get_etag()[0]}-gzip", weak=True)
        response.headers.pop("Last-Modified", None)
        await response.make_conditional(request)
        if response.status_code == 200:
            response.set_data(await asyncio.to_thread(gzipped, file.file_path, file.file_path.stat().st_mtime_ns))
            response.content_encoding = "gzip"
    return response


def is_text(media_type: str) -> bool:
    return media_type.startswith("text/") or media_type in TEXT_TYPES


def accepts_gzip() -> bool:
    is_short = len(request.headers.get("Accept-Encoding", "")) <= MAX_HEADER_LENGTH
    return is_short and request.accept_encodings.quality("gzip") > 0


@lru_cache(maxsize=64)
def gzipped(path: Path, _mtime_ns: int) -> bytes:
    return gzip.compress(path.read_bytes(), mtime=0)


class FileAwareSession(SecureCookieSessionInterface):
    """Quart's session cookie, which static files neither read nor set.

    With `Vary: Cookie`, which Quart 0.23 adds to every response, browsers would fetch them again after each login.
    """

    async def save_session(
        self, app: Quart, session: SessionMixin, response: Response | WerkzeugResponse | None
    ) -> None:
        if response is None or not has_request_context() or not is_static_file(response):
            await super().save_session(app, session, response)


def init_app(app: Quart) -> None:
    app.session_interface = FileAwareSession()
    versions = Versions(app)
    app.add_template_global(versions.static_url)
    app.url_defaults(versions.add_to_url)
    app.after_request(versions.set_caching)
    app.after_request(compress)
