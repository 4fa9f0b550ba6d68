"""The types of ASGI (https://asgi.readthedocs.io), and helpers to read its dictionaries."""

from collections.abc import Awaitable, Callable
from typing import Any

from quart import Quart
from werkzeug.exceptions import HTTPException

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def header_values(scope: Scope, name: bytes) -> list[str]:
    """Return every value of a header. `name` is lower-case."""
    return [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]


def has_body(scope: Scope) -> bool:
    """Return whether the headers announce a body. A request over HTTP/2 may send one without announcing it."""
    return any(name.lower() in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])


def replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the app this body in one message, and later only reports a disconnect."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        if messages:
            return messages.pop()
        while (message := await receive())["type"] != "http.disconnect":
            pass  # the rest of a body that was rejected
        return message

    return receive_again


def view_of(site: Quart, scope: Scope) -> Callable[..., object] | None:
    """Return the view that the request is for, None if there is no such route."""
    try:
        endpoint, _ = site.url_map.bind("").match(scope["path"], scope.get("method", "GET"))
    except HTTPException:
        return None
    return site.view_functions[endpoint]
