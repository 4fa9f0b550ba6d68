"""One line in the log for each request, with the id that the response and the error page show."""

import logging
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from app.lib import logs
from app.lib.asgi.types import App, Message, Receive, Scope, Send

RECORD = "app.record"  # key in the scope: the RequestRecord
MAX_SEGMENT_LENGTH = 32  # a longer part of a path may be a token


@dataclass
class RequestRecord:
    """The facts of the log line of a request. Quart's hooks add the endpoint, the route and the user."""

    method: str
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    endpoint: str | None = None  # None if there is no route, or the request was rejected
    route: str | None = None
    user_id: int | None = None
    status: int | None = None  # None if the client disconnected before the response
    seconds: float = 0.0


Observer = Callable[[RequestRecord], None]


class RequestLogMiddleware:
    """Give each request an id, log it after its response, and respond with 500 if other middleware fails.

    Each observer is called with the record of a request after its response.
    """

    def __init__(self, app: App, observers: Sequence[Observer]) -> None:
        self.app = app
        self.observers = observers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        record, started = RequestRecord(scope.get("method", "WEBSOCKET")), time.monotonic()
        logs.request_id.set(record.id)

        async def send_and_record(message: Message) -> None:
            record_response(record, message)
            await send(message)

        try:
            await self.app({**scope, RECORD: record}, receive, send_and_record)
        except Exception as error:  # noqa: BLE001 # any error of other middleware
            logs.record("unhandled_error", level=logging.ERROR, error=error)
            if record.status is None and scope["type"] == "http":
                await send_500(send_and_record)
        finally:
            record.seconds = time.monotonic() - started
            log(record, scope["path"])
            for observe in self.observers:
                observe(record)


def log(record: RequestRecord, path: str) -> None:
    route, milliseconds = record.route or loggable_path(path), round(record.seconds * 1000)
    facts: dict[str, Any] = {"method": record.method, "route": route, "status": record.status, "ms": milliseconds}
    logs.record("request", **facts, user=record.user_id)


def record_response(record: RequestRecord, message: Message) -> None:
    """Record the status of a response, and add the id of the request to its headers."""
    if message["type"] in ("http.response.start", "websocket.accept", "websocket.http.response.start"):
        record.status = message.get("status", 101)
        message["headers"] = [*message.get("headers", ()), (b"x-request-id", record.id.encode())]
    elif message["type"] == "websocket.close" and record.status is None:
        record.status = 403


async def send_500(send: Send) -> None:
    headers = [(b"content-type", b"text/plain"), (b"cache-control", b"no-store"), (b"vary", b"Cookie")]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": b"Something went wrong.\n", "more_body": False})


def loggable_path(path: str) -> str:
    """Return the path of a request without a route, with parts replaced that may be tokens or e-mail addresses."""
    parts = ["…" if len(part) > MAX_SEGMENT_LENGTH or "@" in unquote(part) else part for part in path.split("/")]
    return "/".join(parts)[:200]
