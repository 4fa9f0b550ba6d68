"""Limits on the size and the duration of a request body, enforced before it is parsed.

Quart's MAX_CONTENT_LENGTH does not limit a chunked multipart part, and parsing a large form blocks the event loop.
Declare an exception at the route:

    @notes_bp.post("/notes/picture")
    @body_limit(max_bytes=5_000_000, seconds=60)
    async def upload() -> ResponseReturnValue:
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from quart import Quart

from app.lib.asgi.rejection import Middleware
from app.lib.asgi.types import App, Receive, Scope, Send, has_body, header_values, replay, view_of
from app.lib.settings.base_url import BaseUrl

View = TypeVar("View", bound=Callable[..., object])

MAX_FIELDS = 1000  # of a form
MAX_PIECES = 1000  # of a body, besides one for each kilobyte of its limit


class TooManyPieces(Exception):
    """The body is sent in chunks of a few bytes. Each costs as much time as a large one."""


class BodyLimit(NamedTuple):
    bytes: int
    seconds: float


DEFAULT_LIMIT = BodyLimit(bytes=64 * 1024, seconds=10)


def body_limit(*, max_bytes: int, seconds: float) -> Callable[[View], View]:
    """Let a view accept a larger or slower body. It is kept in memory, and read before the user is known."""

    def decorate(view: View) -> View:
        view.body_limit = BodyLimit(max_bytes, seconds)  # type: ignore[attr-defined] # read by BodyLimitMiddleware
        return view

    return decorate


class BodyLimitMiddleware(Middleware):
    """Respond with 413 to a body above the limit of its route, with 408 to a slow one, with 400 to one in tiny chunks.

    The app receives any other body in one message.
    """

    def __init__(self, app: App, base_url: BaseUrl, *, site: Quart) -> None:
        super().__init__(app, base_url)
        self.site = site

    async def check(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" or _is_without_body(scope):
            await self.app(scope, receive, send)
            return
        limit: BodyLimit = getattr(view_of(self.site, scope), "body_limit", DEFAULT_LIMIT)
        if _is_within(limit, scope):
            await self.read(scope, receive, send, limit)
        else:
            await self.reject_size(scope, receive, send, limit)

    async def reject_size(self, scope: Scope, receive: Receive, send: Send, limit: BodyLimit) -> None:
        reason = f"the body has more than {limit.bytes} bytes"
        await self.reject(scope, receive, send, 413, reason=reason, max_bytes=limit.bytes)

    async def read(self, scope: Scope, receive: Receive, send: Send, limit: BodyLimit) -> None:
        try:
            async with asyncio.timeout(limit.seconds):
                body = await _read(receive, limit)
        except TimeoutError:
            await self.reject(scope, receive, send, 408, reason=f"the body took more than {limit.seconds} s")
            return
        except TooManyPieces:
            await self.reject(scope, receive, send, 400, reason="the body is sent in tiny chunks")
            return
        if body is None:
            return
        if len(body) > limit.bytes:
            await self.reject_size(scope, receive, send, limit)
        elif _has_too_many_fields(scope, body):
            await self.reject(scope, receive, send, 413, reason=f"the form has more than {MAX_FIELDS} fields")
        else:
            await self.app(scope, replay(body, receive), send)


def _is_without_body(scope: Scope) -> bool:
    is_read = scope["method"] in ("GET", "HEAD") and scope["http_version"] in ("1.0", "1.1")
    return is_read and not has_body(scope)


def _is_within(limit: BodyLimit, scope: Scope) -> bool:
    """Return whether the announced length, if any, is within the limit."""
    lengths = header_values(scope, b"content-length")
    return all(length.isdecimal() and int(length[:20]) <= limit.bytes for length in lengths)


def _has_too_many_fields(scope: Scope, body: bytes) -> bool:
    """Return whether a URL-encoded form would take long to parse. Quart counts the parts of a multipart form."""
    types = header_values(scope, b"content-type")
    return any("urlencoded" in value.lower() for value in types) and body.count(b"&") >= MAX_FIELDS


async def _read(receive: Receive, limit: BodyLimit) -> bytes | None:
    """Return the body, cut off soon after the limit. None if the client has disconnected. Raises TooManyPieces."""
    body, pieces = bytearray(), 0
    while len(body) <= limit.bytes:
        pieces += 1
        if pieces > MAX_PIECES + limit.bytes / 1000:
            raise TooManyPieces
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return bytes(body)


def init_app(app: Quart) -> None:
    app.config["MAX_CONTENT_LENGTH"] = app.config["MAX_FORM_MEMORY_SIZE"] = None  # BodyLimitMiddleware replaces them
