"""Guards that stand in front of the app, and how they say no.

A guard sees the ASGI scope before Quart reads anything of the request. The page of a refusal is still ours: the guard
hands the app a harmless request in place of the one that came, with the status to answer it with.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from logging import WARNING
from typing import Any, cast

from quart import Quart, abort, request

from app import events
from app.base_url import BaseUrl

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

REFUSAL = "app.refusal"
KEPT = (b"accept", b"accept-language")
LANGUAGE = re.compile(rb"(?:^|;) *((?:__Host-)?language=[A-Za-z-]{1,20}) *(?=;|$)")  # middleware/languages.py


class Guard:
    """Pass on a request or refuse it. `self.app` is what stands behind."""

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

    async def refuse(self, scope: Scope, receive: Receive, send: Send, status: int, *, why: str) -> None:
        """Answer with our error page. Of what was sent only that remains which says how to put it."""
        if scope["type"] == "websocket":
            events.record("refused", level=WARNING, status=status, why=why)
            await refuse_websocket(scope, send, status)
            return
        headers = [(b"host", self.base_url.netloc.encode()), *harmless(scope["headers"])]
        refused = {**scope, "query_string": b"", "headers": headers, REFUSAL: (status, why)}
        refused["path"] = "/api/" if scope["path"].startswith("/api/") else "/"
        refused["method"] = "HEAD" if scope["method"] == "HEAD" else "GET"
        if announces_body(scope) and scope["http_version"] in ("1.0", "1.1"):
            send = saying_good_bye(send)  # the server does not wait for it
        await self.app(refused, replay(b"", receive), send)


def announces_body(scope: Scope) -> bool:
    """Say whether a body is to come after the head. HTTP/2 may send one without a word."""
    return any(name.lower() in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])


def saying_good_bye(send: Send) -> Send:
    """Say that the connection is closed (RFC 9112, 9.6). A proxy that is not told sends the next request into it."""

    async def send_and_close(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
        await send(message)

    return send_and_close


def harmless(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """Keep the headers that say how to put a refusal. Who reads them bounds their length."""
    for name, value in headers:
        if name.lower() in KEPT:
            yield name, value
        elif name.lower() == b"cookie":
            yield from ((name, language) for language in LANGUAGE.findall(value)[:2])


async def refuse_websocket(scope: Scope, send: Send, status: int) -> None:
    """Refuse the handshake with a status and headers, where the server can; else with its 403."""
    if "websocket.http.response" in (scope.get("extensions") or {}):
        await send({"type": "websocket.http.response.start", "status": status, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b""})
    else:
        await send({"type": "websocket.close", "code": 1008})


def replay(body: bytes, receive: Receive) -> Receive:
    """Return what gives the app this body in one piece, and then only tells it when the client goes away."""
    whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        if whole:
            return whole.pop()
        while (message := await receive())["type"] != "http.disconnect":
            pass  # the rest of a body that was refused
        return message

    return receive_again


def headers_named(scope: Scope, name: bytes) -> list[str]:
    """Return every value that a header came with."""
    return [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]


async def answer_refusals() -> None:
    scope = cast(Scope, request.scope)
    if REFUSAL in scope:
        status, why = scope[REFUSAL]
        events.record("refused", level=WARNING, status=status, why=why)
        abort(status)


def init_app(app: Quart) -> None:
    app.before_request(answer_refusals)
