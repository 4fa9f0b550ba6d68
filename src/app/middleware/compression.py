"""Text is sent gzipped to everyone who takes it; a view that sets a Content-Encoding of its own is left alone.

A page for a cookie is compressed only when our own pages or the person asked for it: else another site could make the
browser ask with words of its choice, and read from the length whether they stand in the page as well (BREACH).
"""

import asyncio
import gzip
import re
import zlib
from functools import lru_cache

from werkzeug.datastructures import Headers
from werkzeug.sansio.response import Response as Head

from app.middleware.asgi import App, Message, Receive, Scope, Send, headers_named
from app.middleware.codings import takes_gzip, without_unsafe_range

TEXT = re.compile(r"text/.+|application/(?:javascript|json|xml)|.+\+(?:json|xml)")
SMALLEST = 500  # bytes; what is shorter fits into the same packet as it is
LARGEST = 256 * 1024  # bytes of a body that is held, and compressed in one go
PIECE = 64 * 1024  # bytes of a longer one, after which others have their turn
FOR_FILES, FOR_PAGES = 9, 5  # levels: a file is compressed once, a page every time


class Compression:
    """Compress what is text and long enough. `static` is how the path of every static file begins."""

    def __init__(self, app: App, *, static: str) -> None:
        self.app = app
        self.static = static

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            answer = Answer(scope, send, below_static=scope["path"].startswith(self.static))
            await self.app(without_unsafe_range(scope), receive, answer.take)
        else:
            await self.app(scope, receive, send)


class Answer:
    """One answer on its way out: its head is held until its body begins, and `go_on` sends what follows."""

    def __init__(self, scope: Scope, send: Send, *, below_static: bool) -> None:
        self.scope = scope
        self.send = send
        self.below_static = below_static
        self.go_on: Send = self.begin

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message.get("headers", ())]
            self.start, self.head = message, Head(message["status"], Headers(pairs))
        elif message["type"] == "http.response.body":
            await self.go_on(message)
        else:
            await self.send(message)

    async def begin(self, message: Message) -> None:
        """Choose how the body is sent: as it is, compressed in one go, or as it comes."""
        self.length = self.head.content_length
        if self.length is None and not message.get("more_body", False):
            self.length = len(message.get("body", b""))
        self.go_on = self.send
        if is_text(self.head, self.length):
            self.head.vary.add("Accept-Encoding")
            if self.may_be_compressed():
                self.go_on = self.choose()
        if self.go_on != self.collect:
            await self.send_head()
        await self.go_on(message)

    def is_file(self) -> bool:
        return self.below_static and self.head.status_code in (200, 304)  # else it is an error page

    def may_be_compressed(self) -> bool:
        return takes_gzip(self.scope) and (self.is_file() or is_safe_from_guessing(self.scope))

    def choose(self) -> Send:
        """Return what sends the body, with the headers to fit it."""
        if self.head.status_code == 206:
            return self.send
        tag, _ = self.head.get_etag()
        if tag is not None:
            self.head.set_etag(tag, weak=True)  # these bytes are not those of the file
        if self.head.status_code == 304:
            return self.send
        if self.length is not None and self.length <= LARGEST:
            self.body = bytearray()
            return self.collect
        self.packer = zlib.compressobj(FOR_PAGES, zlib.DEFLATED, 31)  # 31: in the frame of gzip
        self.mark_compressed()
        return self.stream

    async def collect(self, message: Message) -> None:
        self.body += message.get("body", b"")
        more = message.get("more_body", False)
        if more and len(self.body) <= (self.length or 0):
            return
        body = bytes(self.body)
        if len(body) == self.length:  # else it is broken, or that of a HEAD: the server knows what to do
            body = compressed_file(body) if self.is_file() else gzip.compress(body, FOR_PAGES, mtime=0)
            self.mark_compressed()
            self.head.content_length = len(body)
        self.go_on = self.send
        await self.send_head()
        await self.send({**message, "body": body})

    async def stream(self, message: Message) -> None:
        body, more = message.get("body", b""), message.get("more_body", False)
        for begin in range(0, len(body), PIECE):
            piece = self.packer.compress(body[begin : begin + PIECE])
            await self.send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0)
        # What has no length may be followed live, so that nothing of it waits here.
        keep = zlib.Z_SYNC_FLUSH if self.length is None else zlib.Z_NO_FLUSH
        await self.send({**message, "body": self.packer.flush(keep if more else zlib.Z_FINISH)})

    def mark_compressed(self) -> None:
        self.head.headers["Content-Encoding"] = "gzip"
        for name in ("Accept-Ranges", "Content-Length"):
            self.head.headers.pop(name, None)

    async def send_head(self) -> None:
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in self.head.headers]
        await self.send({**self.start, "headers": headers})


@lru_cache(maxsize=64)
def compressed_file(body: bytes) -> bytes:
    return gzip.compress(body, FOR_FILES, mtime=0)


def is_text(head: Head, length: int | None) -> bool:
    """Say whether another client, or the whole of what this is a part of, may get the answer compressed."""
    if not TEXT.fullmatch((head.mimetype or "").lower()) or head.headers.get("Content-Encoding"):
        return False
    if head.status_code in (206, 304):
        return True
    long_enough = length is None or length >= SMALLEST
    return long_enough and head.status_code != 204 and "Content-Range" not in head.headers


def is_safe_from_guessing(scope: Scope) -> bool:
    """Say whether the answer is nobody's in particular, or no other site could have chosen what was asked."""
    if not headers_named(scope, b"cookie"):
        return True
    return headers_named(scope, b"sec-fetch-site") in (["same-origin"], ["none"])
