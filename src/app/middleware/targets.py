"""Which requests we read at all: what no page of ours has would only be an error further in."""

import re
from typing import Any

from quart import Quart
from werkzeug.routing import IntegerConverter, Map

from app.middleware.asgi import Guard, Receive, Scope, Send, headers_named

PATH = re.compile(r"/[^\x00-\x1f\x7f\ud800-\udfff]*")
METHOD = re.compile(r"[A-Z]{1,20}")
MAX_PATH = 2000  # bytes
MAX_NAME = 255  # bytes between two slashes: what a file system takes
MAX_KIND = 1000  # bytes of a content type, whose parameters take long to read
MAX_ID = 2**63 - 1  # what a database takes for a number


class IdConverter(IntegerConverter):
    """`<int:id>` in a route: a number that no row can have leads nowhere, instead of to an error of the database."""

    def __init__(self, map: Map, *, max: int = MAX_ID, **options: Any) -> None:  # noqa: A002 # Werkzeug's words
        super().__init__(map, max=max, **options)


class TargetGuard(Guard):
    """Answer 400 to a method, path, query or content type that is none, 414 to what is too long."""

    async def check(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _is_read(scope):
            await self.refuse(scope, receive, send, 400, why="its method, path or query is none")
        elif any(len(kind) > MAX_KIND for kind in headers_named(scope, b"content-type")):
            await self.refuse(scope, receive, send, 400, why="its content type is too long to be one")
        elif _is_too_long(scope["path"].encode()):
            await self.refuse(scope, receive, send, 414, why="its path is too long")
        else:
            await self.app(scope, receive, send)


def _is_read(scope: Scope) -> bool:
    method = scope.get("method", "GET")  # a websocket has none
    return bool(METHOD.fullmatch(method) and PATH.fullmatch(scope["path"])) and scope["query_string"].isascii()


def _is_too_long(path: bytes) -> bool:
    return len(path) > MAX_PATH or max(map(len, path.split(b"/"))) > MAX_NAME


def init_app(app: Quart) -> None:
    app.url_map.converters["int"] = IdConverter
