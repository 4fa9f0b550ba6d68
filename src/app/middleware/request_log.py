"""One line in the log for every request, under the number that the answer and the error page show."""

import logging
import secrets
import time
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import unquote

from quart import Quart, Response, request

from app import events
from app.middleware.asgi import REFUSAL, App, Message, Receive, Scope, Send
from app.middleware.authentication import visitor

RECORD = "app.record"
LONGEST = 32  # characters of a part of a path; what is longer may be a secret


@dataclass
class Record:
    """What the log will say of a request. Filled in on the way."""

    id: str = field(default_factory=lambda: secrets.token_hex(8))
    route: str | None = None
    user: int | None = None
    status: int | None = None  # none: the client had gone before we could answer


class RequestLog:
    """Number each request, write it down once it is answered, and answer what broke even in front of Quart."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        record, since = Record(), time.monotonic()
        events.request_id.set(record.id)

        async def send_and_note(message: Message) -> None:
            note(record, message)
            await send(message)

        try:
            await self.app({**scope, RECORD: record}, receive, send_and_note)
        except Exception as error:  # noqa: BLE001 # whatever it is, it is written down and answered
            events.record("crashed", level=logging.ERROR, error=error)
            if record.status is None and scope["type"] == "http":
                await answer_500(send_and_note)
        finally:
            route = record.route or shown_path(scope["path"])
            milliseconds = round((time.monotonic() - since) * 1000)
            method = scope.get("method", "WEBSOCKET")
            facts = {"method": method, "route": route, "status": record.status, "ms": milliseconds}
            events.record("request", **facts, user=record.user)


def note(record: Record, message: Message) -> None:
    """Take the status from an answer, and give it the number."""
    if message["type"] in ("http.response.start", "websocket.accept", "websocket.http.response.start"):
        record.status = message.get("status", 101)
        message["headers"] = [*message.get("headers", ()), (b"x-request-id", record.id.encode())]
    elif message["type"] == "websocket.close" and record.status is None:
        record.status = 403


async def answer_500(send: Send) -> None:
    headers = [(b"content-type", b"text/plain"), (b"cache-control", b"no-store"), (b"vary", b"Cookie")]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": b"Something went wrong.\n", "more_body": False})


def shown_path(path: str) -> str:
    """Return a path that led nowhere, without what may be a secret or an address in it."""
    parts = ["…" if len(part) > LONGEST or "@" in unquote(part) else part for part in path.split("/")]
    return "/".join(parts)[:200]


async def note_who_and_what(response: Response) -> Response:
    record, user = cast(Record, cast(Scope, request.scope)[RECORD]), visitor().user
    if request.url_rule and REFUSAL not in cast(Scope, request.scope):  # a refused request is not what it was
        record.route = request.url_rule.rule
    record.user = user.id if user else None
    return response


def init_app(app: Quart) -> None:
    app.after_request(note_who_and_what)
