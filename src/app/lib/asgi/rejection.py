"""The base class of middleware that rejects requests with an error page in the layout of the site.

A middleware cannot render a page, so it passes the app a harmless GET request and the status to respond with. A hook
of the app then aborts with that status.
"""

import re
from collections.abc import Iterable, Iterator
from logging import WARNING
from typing import NamedTuple, cast

from quart import Quart, abort, request

from app.lib import logs
from app.lib.asgi.types import App, Message, Receive, Scope, Send, has_body, replay
from app.lib.settings.base_url import BaseUrl

REJECTION = "app.rejection"  # key in the scope: a Rejection
SAFE_HEADERS = (b"accept", b"accept-language")
LANGUAGE_COOKIE = re.compile(rb"(?:^|;) *((?:__Host-)?language=[A-Za-z-]{1,20}) *(?=;|$)")  # i18n/negotiation.py


class Rejection(NamedTuple):
    status: int
    reason: str  # for the log
    max_bytes: int = 0  # that the client may send, for the error page of a body that is too large


class Middleware:
    """Pass a request on to `self.app`, or reject it."""

    def __init__(self, app: App, base_url: BaseUrl) -> None:
        self.app = app
        self.base_url = base_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        else:
            await self.check(scope, receive, send)

    async def check(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise NotImplementedError

    async def reject(
        self, scope: Scope, receive: Receive, send: Send, status: int, *, reason: str, max_bytes: int = 0
    ) -> None:
        """Respond with the error page of a status. Only the headers that select its form are kept.

        With `max_bytes` the cookies are kept too. Only the size of the request is wrong, so the page has the navigation
        of the user.
        """
        if scope["type"] == "websocket":
            logs.record("request_rejected", level=WARNING, status=status, reason=reason)
            await reject_websocket(scope, send, status)
            return
        kept = (*SAFE_HEADERS, b"cookie") if max_bytes else SAFE_HEADERS
        headers = [(b"host", self.base_url.netloc.encode()), *safe_headers(scope["headers"], kept)]
        rejected = {**scope, "query_string": b"", "headers": headers, REJECTION: Rejection(status, reason, max_bytes)}
        rejected["path"] = "/api/" if scope["path"].startswith("/api/") else "/"
        rejected["method"] = "HEAD" if scope["method"] == "HEAD" else "GET"
        if has_body(scope) and scope["http_version"] in ("1.0", "1.1"):
            send = with_connection_close(send)  # the server does not read the body
        await self.app(rejected, replay(b"", receive), send)


def with_connection_close(send: Send) -> Send:
    """Announce that the connection closes (RFC 9112, 9.6). Otherwise a proxy sends its next request into it."""

    async def send_and_close(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
        await send(message)

    return send_and_close


def safe_headers(headers: Iterable[tuple[bytes, bytes]], kept: tuple[bytes, ...]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the headers with these names, and of all cookies at least that of the language."""
    for name, value in headers:
        if name.lower() in kept:
            yield name, value
        elif name.lower() == b"cookie":
            yield from ((name, language) for language in LANGUAGE_COOKIE.findall(value)[:2])


async def reject_websocket(scope: Scope, send: Send, status: int) -> None:
    """Reject a handshake with the status if the server can send it, otherwise with its 403."""
    if "websocket.http.response" in (scope.get("extensions") or {}):
        await send({"type": "websocket.http.response.start", "status": status, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b""})
    else:
        await send({"type": "websocket.close", "code": 1008})


async def abort_rejected() -> None:
    scope = cast(Scope, request.scope)
    if REJECTION in scope:
        rejection: Rejection = scope[REJECTION]
        logs.record("request_rejected", level=WARNING, status=rejection.status, reason=rejection.reason)
        abort(rejection.status)


def init_app(app: Quart) -> None:
    app.before_request(abort_rejected)
