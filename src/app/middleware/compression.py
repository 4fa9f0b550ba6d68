"""Text is sent gzipped to everyone who takes it; a view that sets a Content-Encoding of its own is left alone.

A page for a cookie is compressed only when our own pages or the person asked for it: else another site could make the
browser ask with words of its choice, and read from the length whether they stand in the page as well (BREACH).
"""

import asyncio
import gzip
import re
import zlib
from collections.abc import Mapping
from functools import lru_cache

from app.middleware.asgi import App, Message, Receive, Scope, Send, headers_named
from app.middleware.codings import takes_gzip, without_unsafe_range

Header = tuple[bytes, bytes]

TEXT = re.compile(rb"text/.+|application/(?:javascript|json|xml)|.+\+(?:json|xml)")
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
            self.start, self.headers = message, list(message.get("headers", ()))
        elif message["type"] == "http.response.body":
            await self.go_on(message)
        else:
            await self.send(message)

    async def begin(self, message: Message) -> None:
        """Choose how the body is sent: as it is, compressed in one go, or as it comes."""
        self.go_on = self.send
        named = {name.lower(): value for name, value in self.headers}
        self.length = length_of(named, message)
        if is_text(self.start["status"], named, self.length):
            self.headers = with_vary(self.headers)
            if self.may_be_compressed():
                self.go_on = self.choose()
        if self.go_on != self.collect:
            await self.send_head()
        await self.go_on(message)

    def is_file(self) -> bool:
        return self.below_static and self.start["status"] in (200, 304)  # else it is an error page

    def may_be_compressed(self) -> bool:
        return takes_gzip(self.scope) and (self.is_file() or is_safe_from_guessing(self.scope))

    def choose(self) -> Send:
        """Return what sends the body, with the headers to fit it."""
        if self.start["status"] == 206:
            return self.send
        self.headers = [weakened(*pair) for pair in self.headers]  # these bytes are not those of the file
        if self.start["status"] == 304:
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
            self.headers.append((b"content-length", str(len(body)).encode()))
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
        of_the_plain = (b"accept-ranges", b"content-length", b"content-encoding")
        self.headers = [pair for pair in self.headers if pair[0].lower() not in of_the_plain]
        self.headers.append((b"content-encoding", b"gzip"))

    async def send_head(self) -> None:
        await self.send({**self.start, "headers": self.headers})


@lru_cache(maxsize=64)
def compressed_file(body: bytes) -> bytes:
    return gzip.compress(body, FOR_FILES, mtime=0)


def length_of(named: Mapping[bytes, bytes], first: Message) -> int | None:
    """Return how long the body is to be, if that is known."""
    if (said := named.get(b"content-length", b"")).isdigit():
        return int(said)
    return None if first.get("more_body", False) else len(first.get("body", b""))


def is_text(status: int, named: Mapping[bytes, bytes], length: int | None) -> bool:
    """Say whether another client, or the whole of what this is a part of, may get the answer compressed."""
    kind = named.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if not TEXT.fullmatch(kind) or named.get(b"content-encoding"):
        return False
    if status in (206, 304):
        return True
    long_enough = length is None or length >= SMALLEST
    return long_enough and status != 204 and b"content-range" not in named


def with_vary(headers: list[Header]) -> list[Header]:
    """Say that others may get the answer compressed."""
    varies = b", ".join(value for name, value in headers if name.lower() == b"vary")
    if {b"*", b"accept-encoding"} & {each.strip() for each in varies.lower().split(b",")}:
        return headers
    others = [pair for pair in headers if pair[0].lower() != b"vary"]
    return [*others, (b"vary", b", ".join(filter(None, [varies, b"Accept-Encoding"])))]


def weakened(name: bytes, value: bytes) -> Header:
    """Return a header, a strong tag in it as a weak one."""
    return name, b"W/" + value if name.lower() == b"etag" and not value.startswith(b"W/") else value


def is_safe_from_guessing(scope: Scope) -> bool:
    """Say whether the answer is nobody's in particular, or no other site could have chosen what was asked."""
    if not headers_named(scope, b"cookie"):
        return True
    return headers_named(scope, b"sec-fetch-site") in (["same-origin"], ["none"])
