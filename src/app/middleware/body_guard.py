"""How much of a request we read, and for how long, before anything parses it.

Quart's MAX_CONTENT_LENGTH does not hold for a chunked multipart part, and a large form stalls everybody while it is
parsed. A route that takes more says so:

    @notes_bp.post("/notes/picture")
    @takes_body(max_bytes=5_000_000, seconds=60)
    async def upload() -> ResponseReturnValue:
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from quart import Quart
from werkzeug.exceptions import HTTPException

from app.base_url import BaseUrl
from app.middleware.asgi import App, Guard, Receive, Scope, Send, announces_body, headers_named, replay

View = TypeVar("View", bound=Callable[..., object])

MAX_FIELDS = 1000


class BodyLimit(NamedTuple):
    bytes: int
    seconds: float


ORDINARY = BodyLimit(bytes=64 * 1024, seconds=10)


def takes_body(*, max_bytes: int, seconds: float) -> Callable[[View], View]:
    """Let a view take a larger or slower body. It is held in memory, and read before we know who sends it."""

    def mark(view: View) -> View:
        view.body_limit = BodyLimit(max_bytes, seconds)  # type: ignore[attr-defined] # read by BodyGuard
        return view

    return mark


class BodyGuard(Guard):
    """Answer 413 to a body over its route's limit, 408 to one that takes too long; hand on the others in one piece."""

    def __init__(self, app: App, base_url: BaseUrl, *, site: Quart) -> None:
        super().__init__(app, base_url)
        self.site = site

    async def check(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" or _has_no_body(scope):
            await self.app(scope, receive, send)
            return
        limit = self.limit_of(scope)
        if _is_declared_small(scope, limit):
            await self.read(scope, receive, send, limit)
        else:
            await self.refuse(scope, receive, send, 413, why=f"its body has more than {limit.bytes} bytes")

    def limit_of(self, scope: Scope) -> BodyLimit:
        try:
            endpoint, _ = self.site.url_map.bind("").match(scope["path"], scope["method"])
        except HTTPException:
            return ORDINARY
        limit: BodyLimit = getattr(self.site.view_functions[endpoint], "body_limit", ORDINARY)
        return limit

    async def read(self, scope: Scope, receive: Receive, send: Send, limit: BodyLimit) -> None:
        try:
            async with asyncio.timeout(limit.seconds):
                body = await _read(receive, limit)
        except TimeoutError:
            await self.refuse(scope, receive, send, 408, why=f"its body took more than {limit.seconds} s")
            return
        if body is None:
            return
        if len(body) > limit.bytes:
            await self.refuse(scope, receive, send, 413, why=f"its body has more than {limit.bytes} bytes")
        elif _has_too_many_fields(scope, body):
            await self.refuse(scope, receive, send, 413, why=f"its form has more than {MAX_FIELDS} fields")
        else:
            await self.app(scope, replay(body, receive), send)


def _has_no_body(scope: Scope) -> bool:
    """Say whether nothing comes after the head, as with most that only ask."""
    asks = scope["method"] in ("GET", "HEAD") and scope["http_version"] in ("1.0", "1.1")
    return asks and not announces_body(scope)


def _is_declared_small(scope: Scope, limit: BodyLimit) -> bool:
    """Say whether the request does not itself say that it is too long."""
    lengths = headers_named(scope, b"content-length")
    return all(length.isdecimal() and int(length[:20]) <= limit.bytes for length in lengths)


def _has_too_many_fields(scope: Scope, body: bytes) -> bool:
    """Say whether a form would take long to parse. Quart counts the parts of a multipart one by itself."""
    kinds = headers_named(scope, b"content-type")
    return any("urlencoded" in kind.lower() for kind in kinds) and body.count(b"&") >= MAX_FIELDS


async def _read(receive: Receive, limit: BodyLimit) -> bytes | None:
    """Return the body, or as much of it as shows that it is too long; None when the client has gone."""
    body = bytearray()
    while len(body) <= limit.bytes:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return bytes(body)


def init_app(app: Quart) -> None:
    app.config["MAX_CONTENT_LENGTH"] = None  # the guard knows better
