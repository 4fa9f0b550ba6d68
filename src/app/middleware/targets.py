"""Which addresses we read: what is longer than any of ours, or no text, would only be an error further in."""

import re

from app.middleware.asgi import Guard, Receive, Scope, Send

MAX_PATH = 2000  # bytes
MAX_NAME = 255  # bytes between two slashes: what a file system takes
CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class TargetGuard(Guard):
    """Answer 400 to control characters in a path and to a query that is not ASCII, 414 to what is too long."""

    async def check(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if CONTROL.search(path) or not scope["query_string"].isascii():
            await self.refuse({**scope, "path": "/"}, receive, send, 400)
        elif len(path.encode()) > MAX_PATH or max(map(len, path.encode().split(b"/"))) > MAX_NAME:
            await self.refuse({**scope, "path": "/"}, receive, send, 414)
        else:
            await self.app(scope, receive, send)
