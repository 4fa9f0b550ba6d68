"""No input from a client causes a 5xx, a traceback in the log or a slow response."""

import asyncio
import gc
import itertools
import json
import logging
import re
import socket
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import h11
import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as tuned
from hypothesis import strategies as st
from itsdangerous.encoding import base64_encode
from quart import Quart, request
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession
from werkzeug.routing import Rule

from app.app_factory import create_app
from app.lib.db import db
from app.lib.passwords.hasher import PasswordHasher
from app.models.base import Base
from app.services import sessions, users
from app.services.client import COMMAND_LINE, NewSession
from support.actions import EMAIL, PASSWORD
from support.app import SECRET_KEY
from support.hostile_input import BROKEN, FORMS, HEADERS, NASTY, as_json, multipart, urlencoded
from support.site_process import running_site

pytestmark = [
    pytest.mark.long,
    # A client that disconnects while Quart opens a static file leaves it to the garbage collector to close.
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
]

VISITS = 740
LEAST_REQUESTS = 3000
MOST_ROUNDS = 4
ON_THE_WIRE, WANTED = 300, {b"200", b"303", b"400", b"404", b"422"}
SLOW_CPU_SECONDS = 2
SLOW_SECONDS = 10  # on a busy machine
TUNED: dict[str, Any] = {
    "deadline": None,
    "derandomize": False,
    "print_blob": True,
    "suppress_health_check": list(HealthCheck),
}

METHODS = ["HEAD", "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get", "X" * 21]
PATHS = ["", "*", "//", "//evil.example/", "/static", "/LOGIN", "/login/", "/%2e%2e/", "/é", "http://[", "/\ud800"]
PATHS += ["/" + "a" * 300, "/\0", "/\n", "/x\r\nSet-Cookie: auth=1", "/?", "/\ufffd"]
PARTS = ["css/main.css", "css", "token", "to.ken", "..", "../app_factory.py", "%00", "\0", "x" * 300, "\udcff"]
NUMBERS = ["1", "0", "-1", "٣", str(2**63), str(2**64), "9" * 250, "9" * 5000]
KINDS = ["application/json", "application/json; charset=utf-16", "application/x-www-form-urlencoded", "text/plain"]
KINDS += ["multipart/form-data", "multipart/form-data; boundary=XX", "", "ÿ;="]
ODD: dict[bytes, list[bytes]] = {
    b"accept": [b"application/json", b"text/html", b"*/*"],
    b"authorization": [b"Basic Og==", b"Basic =", b"Bearer", b"Digest a=b"],
    b"content-length": [b"0", b"7", b"65537", b"-1", b"9" * 5000, b"\xb2", b"1_0"],
    b"content-type": [kind.encode("latin-1") for kind in KINDS],
    b"expect": [b"100-continue"],
    b"host": [b"localhost", b"127.0.0.1:5000", b"evil.example", b"[::1", b"localhost:99999"],
    b"if-modified-since": [b"Thu, 01 Jan 2099 00:00:00 GMT", b"Mon, 99 Xxx 99999 99:99:99", b"0" * 5000],
    b"if-none-match": [b"*", b'W/"x", "', b'"x",' * 2000],
    b"if-range": [b'"x"', b"Thu, 01 Jan 1970 00:00:00 GMT"],
    b"origin": [b"null", b"http://localhost", b"https://evil.example", b"http://[", b"http://localhost:x"],
    b"range": [b"bytes=0-", b"bytes=-1", b"bytes=5-2,9-", b"bytes=0-1," * 999, b"bytes=99999999999999999999-"],
    b"sec-fetch-site": [b"same-origin", b"none", b"cross-site"],
    b"transfer-encoding": [b"chunked", b"gzip, chunked", b"identity"],
    b"upgrade": [b"h2c", b"websocket"],
}
OTHERS = b"cache-control if-match forwarded user-agent x-forwarded-for x-forwarded-host content-encoding".split()
ODD |= {name: [b"*", b"evil.example"] for name in OTHERS}
FRAMING_HEADERS = {b"content-length", b"transfer-encoding", b"expect", b"upgrade"}
SECRETS = [b"null", b"5", b'"%s"' % (b"x" * 5000), rb'"\u0000"', rb'"\ud800"', b"{"]
COOKIE = b"auth=<auth>; session=<session>"  # the browser received these before

RARELY = st.integers(0, 5).map(lambda number: number == 5)
TEXT = st.text(st.characters(), max_size=30)
WORDS = st.sampled_from(NASTY) | TEXT
# A line break in a header does not get past h11 and h2.
BYTES = st.binary(max_size=30).map(lambda value: value.translate(None, b"\r\n"))
QUERIES = st.dictionaries(st.sampled_from(["next", "email", "v", ""]), st.sampled_from(["/about", "//x"]) | WORDS).map(
    lambda query: urlencode(query, errors="surrogatepass").encode()
)


class Short:
    """Show at most 300 characters of each field in the report of a failure."""

    def _repr_pretty_(self, printer: Any, _cycle: Any) -> None:
        printer.text(", ".join(f"{name}={value!r:.300}" for name, value in vars(self).items()) + "\n")


@dataclass
class Sent(Short):
    kind: str
    version: str
    method: str
    path: str
    query: bytes
    headers: list[tuple[bytes, bytes]]
    content: tuple[bytes, str | None]
    cut: int  # where the body continues in another message
    disconnects_after: float | None  # seconds after the last chunk
    is_whole: bool

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        kind = self.content[1]
        return self.headers if kind is None else [*self.headers, (b"content-type", kind.encode("latin-1"))]

    @property
    def messages(self) -> list[dict[str, Any]]:
        chunks = [self.content[0][: self.cut], self.content[0][self.cut :]]
        if self.kind == "websocket":
            texts = [{"type": "websocket.receive", "bytes": chunk, "text": None} for chunk in chunks]
            return [{"type": "websocket.connect"}, *texts]
        is_cut_off = self.disconnects_after is not None and not self.is_whole
        more = zip(chunks, [True, is_cut_off], strict=True)
        return [{"type": "http.request", "body": chunk, "more_body": has_more} for chunk, has_more in more]


@dataclass
class Wire(Short):
    text: bytes
    is_complete: bool  # a server can tell where it ends


def mostly(usual: Any, odd: Any) -> st.SearchStrategy[Any]:
    return RARELY.flatmap(lambda is_rare: odd if is_rare else usual)


def forms(good: dict[str, str]) -> st.SearchStrategy[tuple[bytes, str]]:
    """Draw the body of a form, with its content type."""
    fields = [st.tuples(st.just(name), mostly(st.just(value), WORDS)) for name, value in good.items()]
    more = mostly(st.just(()), st.lists(st.tuples(st.sampled_from(sorted(good)), WORDS)))
    encoders = st.sampled_from([urlencoded, urlencoded, multipart, as_json])
    return st.builds(lambda encode, one, other: encode([*one, *other]), encoders, st.tuples(*fields), more)


def contents(path: str) -> st.SearchStrategy[tuple[bytes, str | None]]:
    junk = st.tuples(st.binary(max_size=200), st.sampled_from(KINDS))
    broken = st.sampled_from(BROKEN).map(lambda pair: (pair[1], pair[0]))
    return mostly(forms(FORMS[path]), broken | junk) if path in FORMS else mostly(junk, broken)


def headers(app: Quart) -> st.SearchStrategy[list[tuple[bytes, bytes]]]:
    odd = {name: st.tuples(st.just(name), st.sampled_from(good + HEADERS) | BYTES) for name, good in ODD.items()}
    hosts = mostly(st.just([(b"host", b"localhost")]), st.lists(odd[b"host"], max_size=2))
    forged = st.sampled_from(SECRETS).map(lambda secret: b"auth=" + signed(app, secret))
    mangled = st.builds(lambda before, after: before + COOKIE + after, BYTES, BYTES)
    cookies = mostly(st.just(COOKIE), mostly(forged, mangled | BYTES)).map(lambda value: [(b"cookie", value)])
    others = mostly(st.just([]), st.lists(st.one_of(*odd.values()), max_size=5))
    return st.builds(lambda *lists: [*itertools.chain(*lists)], hosts, cookies, others)


def signed(app: Quart, secret: bytes) -> bytes:
    """Return a session cookie with a valid signature, even of a text that the site would never sign."""
    extension = app.extensions["QUART_AUTH"][0]
    signer = extension.serializer_class(app.secret_key, extension.salt).make_signer(extension.salt)
    cookie: bytes = signer.sign(base64_encode(secret))
    return cookie


def requests_to(app: Quart, rule: Rule) -> st.SearchStrategy[Sent]:
    parts = st.sampled_from(NUMBERS) if "<int:" in rule.rule else st.sampled_from(PARTS) | TEXT
    paths = parts.map(lambda part: re.sub(r"<[^>]+>", lambda _: part, rule.rule))
    methods = sorted((rule.methods or {"GET"}) - {"HEAD", "OPTIONS"})
    return st.builds(
        Sent,
        kind=st.sampled_from(["http"] * 19 + ["websocket"]),
        version=mostly(st.just("1.1"), st.sampled_from(["1.0", "2"])),
        method=mostly(st.sampled_from(methods), st.sampled_from(METHODS)),
        path=mostly(paths, st.sampled_from(PATHS) | TEXT | TEXT.map(rule.rule.__add__)),
        query=mostly(st.just(b""), st.binary(max_size=30) | QUERIES),
        headers=headers(app),
        content=contents(rule.rule),
        cut=mostly(st.just(0), st.integers(0, 70_000)),
        disconnects_after=mostly(st.none(), st.sampled_from([0.0, 0.001, 0.004, 0.02])),
        is_whole=st.booleans(),
    )


def requests(app: Quart) -> st.SearchStrategy[Sent]:
    return st.one_of(*(requests_to(app, rule) for rule in app.url_map.iter_rules()))


@st.composite
def wires(draw: st.DrawFn, requests: st.SearchStrategy[Sent]) -> Wire:
    sent, is_framed = draw(requests), not draw(RARELY)
    named = [pair for pair in sent.fields if not (is_framed and pair[0] in FRAMING_HEADERS)]
    if is_framed:
        named.append((b"content-length", b"%d" % len(sent.content[0])))
    quoted = quote(sent.path, errors="replace") + "?" + quote(sent.query, safe="=&%+")
    target = draw(mostly(st.just(quoted), st.just(sent.path + "?" + sent.query.decode("latin-1"))))
    start = f"{sent.method} {target} HTTP/{sent.version}".encode(errors="surrogatepass")
    text = b"\r\n".join([start, b"connection: close", *(b"%s: %s" % pair for pair in named), b"", sent.content[0]])
    if not draw(RARELY):
        return Wire(text, is_complete=is_framed)
    spot = draw(st.integers(0, len(text)))
    return Wire(text[:spot] + draw(st.binary(max_size=9)) + text[spot + draw(st.integers(0, 9)) :], is_complete=False)


def is_crash(record: logging.LogRecord) -> bool:
    return bool(record.exc_info) or "Traceback" in record.getMessage()


def check_log(log: pytest.LogCaptureFixture) -> None:
    crashes, text = [record for record in log.records if is_crash(record)], log.text
    log.clear()
    assert not crashes, text


class Browser:
    """The browser of a user, and the responses that it gets."""

    def __init__(self, app: Quart) -> None:
        self.app = app
        self.hashed = PasswordHasher().hash(PASSWORD)
        self.cookies: dict[bytes, bytes] = {}
        self.statuses: Counter[int] = Counter()
        self.reached: set[str | None] = set()
        self.sent = 0
        app.before_request(self.note_endpoint)

    async def note_endpoint(self) -> None:
        self.reached.add(request.endpoint)

    async def visit(self, visit: list[Sent]) -> None:
        """Send the requests to a site that is the same at every visit, so that a failure can be replayed."""
        async with self.app.app_context():
            token = await db.write(self.start_over)
        self.cookies = {b"auth": signed(self.app, json.dumps(token).encode())}
        for sent in visit:
            await self.send(sent)

    async def start_over(self, session: AsyncSession) -> str:
        for table in reversed(Base.metadata.sorted_tables):
            await session.execute(delete(table))
        user = await users.create(session, email=EMAIL, password_hash=self.hashed, client=COMMAND_LINE)
        return await sessions.start(session, user_id=user.id, new=NewSession(COMMAND_LINE))

    async def send(self, sent: Sent) -> None:
        coming, response, started, worked = sent.messages, list[Any](), time.monotonic(), time.process_time()

        async def receive() -> Any:
            if not coming:
                await asyncio.sleep(SLOW_SECONDS * 2 if sent.disconnects_after is None else sent.disconnects_after)
            return coming.pop(0) if coming else {"type": f"{sent.kind}.disconnect", "code": 1006}

        async def send(message: Any) -> None:
            response.append(message)

        self.sent += 1
        await self.app(self.scope(sent), receive, send)
        assert time.process_time() - worked < SLOW_CPU_SECONDS
        assert time.monotonic() - started < SLOW_SECONDS
        assert sent.disconnects_after is not None or not response[-1].get("more_body", False), "the response has no end"
        for message in response:
            self.read(message)

    def filled_in(self, value: bytes) -> bytes:
        for name, cookie in self.cookies.items():
            value = value.replace(b"<" + name + b">", cookie)
        return value

    def scope(self, sent: Sent) -> Any:
        """Return the scope that Hypercorn would pass on. No IP address sends enough requests to exceed a rate limit."""
        scope = {"type": sent.kind, "method": sent.method, "path": sent.path, "query_string": sent.query}
        return scope | {
            "http_version": sent.version,
            "scheme": "http" if sent.kind == "http" else "ws",
            "root_path": "",
            "raw_path": quote(sent.path, errors="surrogatepass").encode(),
            "headers": [(name, self.filled_in(value)) for name, value in sent.fields],
            "client": (f"10.{self.sent >> 16}.{self.sent >> 8 & 255}.{self.sent & 255}", 50_000),
            "extensions": {} if sent.kind == "http" else {"websocket.http.response": {}},
        }

    def read(self, message: Any) -> None:
        if message["type"].endswith("response.start"):
            h11.Response(status_code=message["status"], headers=message["headers"])  # raises for what cannot be sent
            assert message["status"] < 500
            self.statuses[message["status"]] += 1
            for name, value in message["headers"]:
                if name.lower() == b"set-cookie":
                    self.cookies.update([value.partition(b";")[0].split(b"=", 1)])


def test_nothing_that_reaches_the_app_breaks_it(
    settings: dict[str, Any], log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Otherwise pytest stores thousands of refusals, and prints them below a failure.
    monkeypatch.setattr(logging.getLogger("app"), "filters", [is_crash])
    app = create_app(settings)
    browser, site = Browser(app), app.test_app()
    with asyncio.Runner() as runner:
        runner.run(site.startup())

        @tuned(max_examples=VISITS, **TUNED)
        @given(st.lists(requests(app), min_size=1, max_size=12))
        def visit(sent: list[Sent]) -> None:
            runner.run(browser.visit(sent))
            check_log(log)

        endpoints = {rule.endpoint for rule in app.url_map.iter_rules()}
        try:
            for _ in range(MOST_ROUNDS):  # by chance, a round may miss an endpoint
                visit()
                if browser.reached >= endpoints:
                    break
        finally:
            runner.run(site.shutdown())
    gc.collect()  # asyncio logs a failed task when it is collected
    check_log(log)
    assert browser.sent >= LEAST_REQUESTS
    assert browser.reached >= endpoints
    assert {200, 303, 400, 404, 405, 422} <= set(browser.statuses)


def exchange(port: int, wire: Wire) -> bytes:
    """Return the beginning of the response, or nothing when the server closes the connection."""
    with suppress(ConnectionError), socket.create_connection(("127.0.0.1", port), timeout=SLOW_SECONDS) as connection:
        connection.sendall(wire.text)
        if not wire.is_complete:
            time.sleep(0.03)  # time to respond to what was sent
            connection.shutdown(socket.SHUT_WR)
        return connection.recv(65536)
    return b""


def test_nothing_that_reaches_the_server_breaks_it(tmp_path: Path) -> None:
    app = create_app({"INSTANCE_PATH": str(tmp_path), "SECRET_KEY": SECRET_KEY})
    statuses: Counter[bytes] = Counter()
    with running_site(tmp_path, QUART_SECRET_KEY=SECRET_KEY) as site:
        port = urlsplit(site.url).port or 0

        @tuned(max_examples=ON_THE_WIRE, **TUNED)
        @given(wires(requests(app)))
        def send(wire: Wire) -> None:
            started = time.monotonic()
            response = exchange(port, wire)
            assert time.monotonic() - started < SLOW_SECONDS
            # 501 is for a transfer coding that the server does not know (RFC 9112, 6.1).
            assert response == b"" or re.match(rb"HTTP/1\.1 ([1-4]\d\d|501) ", response)
            assert "Traceback" not in (tmp_path / "log").read_text()
            statuses.update([response[9:12]])

        for _ in range(MOST_ROUNDS):  # by chance, a round may miss a status
            send()
            if statuses.keys() >= WANTED:
                break
        assert httpx.get(f"{site.url}/healthz").json() == {"status": "alive"}
    assert "Traceback" not in (tmp_path / "log").read_text()
    assert statuses.keys() >= WANTED
