"""Reject requests with a malformed head or a very long target, which would only cause errors later."""

import re

from app.lib.asgi.rejection import Middleware
from app.lib.asgi.types import Receive, Scope, Send, header_values

PATH = re.compile(r"/[^\x00-\x1f\x7f\ud800-\udfff]*")
METHOD = re.compile(r"[A-Z]{1,20}")
MAX_PATH_LENGTH_BYTES = 2000
MAX_SEGMENT_LENGTH_BYTES = 255  # the longest file name of a file system
MAX_CONTENT_TYPE_LENGTH = 1000  # its parameters take long to parse


class RequestTargetMiddleware(Middleware):
    """Respond with 400 to an invalid method, path, query, content type or length, and with 414 to a long path."""

    async def check(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_valid(scope):
            await self.reject(scope, receive, send, 400, reason="the method, path or query is invalid")
        elif any(len(value) > MAX_CONTENT_TYPE_LENGTH for value in header_values(scope, b"content-type")):
            await self.reject(scope, receive, send, 400, reason="the content type is too long")
        elif has_ambiguous_length(scope):
            await self.reject(scope, receive, send, 400, reason="both Content-Length and Transfer-Encoding")
        elif is_too_long(scope["path"].encode()):
            await self.reject(scope, receive, send, 414, reason="the path is too long")
        else:
            await self.app(scope, receive, send)


def is_valid(scope: Scope) -> bool:
    method = scope.get("method", "GET")  # a websocket has none
    return bool(METHOD.fullmatch(method) and PATH.fullmatch(scope["path"])) and scope["query_string"].isascii()


def has_ambiguous_length(scope: Scope) -> bool:
    """Return whether two headers contradict each other: request smuggling relies on that (RFC 9112, 6.1)."""
    return bool(header_values(scope, b"content-length") and header_values(scope, b"transfer-encoding"))


def is_too_long(path: bytes) -> bool:
    return len(path) > MAX_PATH_LENGTH_BYTES or max(map(len, path.split(b"/"))) > MAX_SEGMENT_LENGTH_BYTES
