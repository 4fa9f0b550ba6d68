"""Whatever a client sends, however it sends it: no 5xx, no traceback in the log, no slow response."""

import asyncio
import gc
import itertools
import json
import logging
import re
import socket
import time
from collections import Counter
from collections.abc import Iterator
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
from quart import Quart, abort, request
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession
from werkzeug.routing import Rule

from app.app_factory import create_app
from app.auth import access
from app.lib.db import db
from app.lib.passwords.hasher import PasswordHasher
from app.models import User
from app.models.base import Base
from app.services import sessions, users
from app.services.client import COMMAND_LINE
from app.services.sessions import NewSession
from support.actions import EMAIL, PASSWORD
from support.app import SECRET_KEY, open_to
from support.hostile_input import BROKEN, FORMS, HEADERS, NASTY, as_json, multipart, urlencoded
from support.site_process import running_site

pytestmark = [
    pytest.mark.long,
    # A client that disconnects while Quart opens a static file leaves it to the garbage collector to close.
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
]

VISITS = 740
LEAST_REQUESTS = 3000
ON_THE_WIRE = 300
SLOW_SECONDS = 2
TUNED: dict[str, Any] = {
    "deadline": None,
    "print_blob": True,
    "report_multiple_bugs": False,
    "suppress_health_check": list(HealthCheck),
}

METHODS = ["HEAD", "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get", "X" * 21]
PATHS = ["", "*", "//", "//evil.example/", "/static", "/api", "/LOGIN", "/login/", "/%2e%2e/", "/é", "http://[", "/;"]
PATHS += ["/\ud800", "/a" * 1001, "/" + "a" * 300, "/\0", "/\n", "/x\r\nSet-Cookie: auth=1", "/?", "/\ufffd"]
PARTS = ["css/main.css", "js/main.js", "css", "..", "../app_factory.py", "%00", "\0", "x" * 300, "\udcff"]
NUMBERS = ["1", "0", "-1", "٣", str(2**63), str(2**64), "9" * 250, "9" * 5000]
JSON = [b"[" * 60_000, b"[" * 990 + b"]" * 990, b'{"a":' * 9000 + b"1" + b"}" * 9000, b"9" * 5000, b"-1e999", b"[NaN]"]
JSON += [b"", b"\xff", b'"\xed\xa0\x80"', b'"\\ud800"', b"\xef\xbb\xbf{}", b"\xff\xfe{\0}\0", b'{"":']
KINDS = ["application/json", "application/json; charset=utf-16", "application/x+json", "text/plain", "", "ÿ;="]
KINDS += ["application/x-www-form-urlencoded", "multipart/form-data", "multipart/form-data; boundary=XX"]
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
SAY_WHERE_IT_ENDS = {b"content-length", b"transfer-encoding", b"expect", b"upgrade"}
SECRETS = [b"null", b"5", b'"%s"' % (b"x" * 5000), rb'"\u0000"', rb'"\ud800"', b"{"]
COOKIE = b"auth=<auth>; session=<session>"  # what the browser was given before

TEXT = st.text(st.characters(), max_size=30)
WORDS = st.sampled_from(NASTY) | TEXT
# A line break in a header does not get past h11 and h2.
BYTES = st.binary(max_size=30).map(lambda value: value.translate(None, b"\r\n"))
LEAVES = st.none() | st.booleans() | st.floats() | st.integers() | TEXT
TREES = st.recursive(LEAVES, lambda tree: st.lists(tree) | st.dictionaries(TEXT, tree), max_leaves=8)
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
    cuts: list[int]
    leaves: float | None  # seconds after the last chunk
    is_whole: bool

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        kind = self.content[1]
        return self.headers if kind is None else [*self.headers, (b"content-type", kind.encode("latin-1"))]

    @property
    def chunks(self) -> list[bytes]:
        return [self.content[0][start:end] for start, end in itertools.pairwise([0, *sorted(self.cuts), None])]

    @property
    def messages(self) -> list[dict[str, Any]]:
        if self.kind == "websocket":
            texts = [{"type": "websocket.receive", "bytes": chunk, "text": None} for chunk in self.chunks]
            return [{"type": "websocket.connect"}, *texts]
        more = self.leaves is not None and not self.is_whole
        chunks = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in self.chunks]
        return [*chunks, {"type": "http.request", "body": b"", "more_body": more}]


@dataclass
class Wire(Short):
    text: bytes
    ends: bool  # whether a server can tell that it is complete


def mostly(usual: Any, odd: Any) -> st.SearchStrategy[Any]:
    return st.integers(0, 5).flatmap(lambda number: odd if number == 5 else usual)


def forms(good: dict[str, str]) -> st.SearchStrategy[tuple[bytes, str]]:
    """Draw the body of a form, with its content type."""
    fields = [st.tuples(st.just(name), mostly(st.just(value), WORDS)) for name, value in good.items()]
    more = mostly(st.just(()), st.lists(st.tuples(st.sampled_from(sorted(good)), WORDS)))
    encoders = st.sampled_from([urlencoded, urlencoded, multipart, as_json])
    return st.builds(lambda encode, one, other: encode([*one, *other]), encoders, st.tuples(*fields), more)


def contents(path: str) -> st.SearchStrategy[tuple[bytes, str | None]]:
    trees = TREES.map(lambda tree: json.dumps(tree).encode())
    junk = st.tuples(st.sampled_from(JSON) | st.binary(max_size=200) | trees, st.sampled_from(KINDS))
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
    """Return a session cookie with a valid signature, also of a text that the site would never sign."""
    extension = app.extensions["QUART_AUTH"][0]
    signer = extension.serializer_class(app.secret_key, extension.salt).make_signer(extension.salt)
    cookie: bytes = signer.sign(base64_encode(secret))
    return cookie


def requests(app: Quart) -> st.SearchStrategy[Sent]:
    return st.one_of(*(requests_to(rule, headers(app)) for rule in app.url_map.iter_rules()))


def requests_to(rule: Rule, headers: st.SearchStrategy[list[tuple[bytes, bytes]]]) -> st.SearchStrategy[Sent]:
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
        headers=headers,
        content=contents(rule.rule),
        cuts=mostly(st.just([]), st.lists(st.integers(0, 70_000), max_size=4)),
        leaves=mostly(st.none(), st.sampled_from([0.0, 0.001, 0.004, 0.02])),
        is_whole=st.booleans(),
    )


@st.composite
def wires(draw: st.DrawFn, requests: st.SearchStrategy[Sent]) -> Wire:
    sent, framing = draw(requests), draw(mostly(st.just("length"), st.sampled_from(["chunks", "odd"])))
    named = [pair for pair in sent.fields if framing == "odd" or pair[0] not in SAY_WHERE_IT_ENDS]
    body = b"".join(sent.chunks)
    if framing == "length":
        named.append((b"content-length", b"%d" % len(body)))
    elif framing == "chunks":
        named.append((b"transfer-encoding", b"chunked"))
        body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in [*filter(None, sent.chunks), b""])
    quoted = quote(sent.path, errors="replace") + "?" + quote(sent.query, safe="=&%+")
    target = draw(mostly(st.just(quoted), st.just(sent.path + "?" + sent.query.decode("latin-1"))))
    start = f"{sent.method} {target} HTTP/{sent.version}".encode(errors="surrogatepass")
    text = b"\r\n".join([start, b"connection: close", *(b"%s: %s" % pair for pair in named), b"", body])
    spot = draw(mostly(st.none(), st.integers(0, len(text))))
    if spot is None:
        return Wire(text, framing != "odd")
    return Wire(text[:spot] + draw(st.binary(max_size=9)) + text[spot + draw(st.integers(0, 9)) :], ends=False)


class Crashes(logging.Handler):
    """Collect the log entries that no request may cause."""

    messages: tuple[str, ...] = ()

    def emit(self, record: logging.LogRecord) -> None:
        if is_crash(record):
            self.messages += (self.format(record),)

    def check(self) -> None:
        messages, self.messages = self.messages, ()
        assert not messages, "\n".join(messages)


def is_crash(record: logging.LogRecord) -> bool:
    return bool(record.exc_info) or "Traceback" in record.getMessage()


@pytest.fixture
def crashes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Crashes]:
    crashes, loggers = Crashes(), [logging.getLogger(name) for name in ("", "app", "asyncio", "hypercorn")]
    for logger in loggers:
        logger.addHandler(crashes)
    # Otherwise pytest stores thousands of refusals, and prints them below a failure.
    monkeypatch.setattr(logging.getLogger("app"), "filters", [is_crash])
    yield crashes
    for logger in loggers:
        logger.removeHandler(crashes)


@pytest.fixture
def app(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Quart:
    """Make an app that also has a route that reads JSON, and one with a number in its path."""

    async def echo() -> Any:
        return {"got": await request.get_json()}

    async def show(number: int) -> Any:
        return {"user": str(await db.read(find, number) or abort(404))}

    async def find(session: AsyncSession, number: int) -> User | None:
        return await session.get(User, number)

    app = create_app(settings)
    app.add_url_rule("/api/echo", "echo", echo, methods=["POST"])
    app.add_url_rule("/api/users/<int:number>", "show", show)
    monkeypatch.setattr(access, "is_public", open_to({"echo", "show"}))
    return app


class Browser:
    """The browser of a user, and the responses that it gets."""

    def __init__(self, app: Quart) -> None:
        self.app = app
        self.cookies: dict[bytes, bytes] = {}
        self.statuses: Counter[int] = Counter()
        self.reached: set[str | None] = set()
        self.sent = 0
        app.before_request(self.note_endpoint)

    async def note_endpoint(self) -> None:
        self.reached.add(request.endpoint)

    async def visit(self, visit: list[Sent], hashed: str) -> None:
        """Send the requests to a site that is the same at every visit, so that a failure can be replayed."""

        async def start_over(session: AsyncSession) -> str:
            for table in reversed(Base.metadata.sorted_tables):
                await session.execute(delete(table))
            user = await users.create(session, email=EMAIL, password_hash=hashed, client=COMMAND_LINE)
            return await sessions.start(session, user_id=user.id, new=NewSession(COMMAND_LINE))

        async with self.app.app_context():
            secret = await db.write(start_over)
        self.cookies = {b"auth": signed(self.app, json.dumps(secret).encode())}
        for sent in visit:
            await self.send(sent)

    async def send(self, sent: Sent) -> None:
        coming, response, started = sent.messages, list[Any](), time.monotonic()

        async def receive() -> Any:
            if not coming:
                await asyncio.sleep(SLOW_SECONDS * 2 if sent.leaves is None else sent.leaves)
            return coming.pop(0) if coming else {"type": f"{sent.kind}.disconnect", "code": 1006}

        async def send(message: Any) -> None:
            response.append(message)

        self.sent += 1
        await self.app(self.scope(sent), receive, send)
        assert time.monotonic() - started < SLOW_SECONDS
        assert sent.leaves is not None or not response[-1].get("more_body", False), "the response has no end"
        for message in response:
            self.read(message)

    def scope(self, sent: Sent) -> Any:
        """Return the scope that Hypercorn would pass on. Each IP address sends too little to meet a rate limit."""
        scope = {"type": sent.kind, "method": sent.method, "path": sent.path, "query_string": sent.query}
        return scope | {
            "http_version": sent.version,
            "scheme": "http" if sent.kind == "http" else "ws",
            "root_path": "",
            "raw_path": quote(sent.path, errors="surrogatepass").encode(),
            "headers": [(name, filled_in(value, self.cookies)) for name, value in sent.fields],
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
                    cookie, _, text = value.partition(b";")[0].partition(b"=")
                    self.cookies[cookie] = text


def filled_in(value: bytes, cookies: dict[bytes, bytes]) -> bytes:
    for name, cookie in cookies.items():
        value = value.replace(b"<" + name + b">", cookie)
    return value


def test_nothing_that_reaches_the_app_breaks_it(app: Quart, crashes: Crashes) -> None:
    browser, site = Browser(app), app.test_app()
    with asyncio.Runner() as runner:
        hashed = PasswordHasher().hash(PASSWORD)
        runner.run(site.startup())

        @tuned(max_examples=VISITS, **TUNED)
        @given(st.lists(requests(app), min_size=1, max_size=12))
        def visit(sent: list[Sent]) -> None:
            runner.run(browser.visit(sent, hashed))
            crashes.check()

        try:
            visit()
        finally:
            runner.run(site.shutdown())
    gc.collect()  # asyncio logs a failed task when it is collected
    crashes.check()
    assert browser.sent >= LEAST_REQUESTS
    assert browser.reached >= {rule.endpoint for rule in app.url_map.iter_rules()}
    assert {200, 303, 400, 404, 405, 422} <= set(browser.statuses)


def exchange(port: int, wire: Wire, cookies: dict[bytes, bytes]) -> bytes:
    """Return the beginning of the response, or nothing when the server closes the connection."""
    with suppress(ConnectionError), socket.create_connection(("127.0.0.1", port), timeout=SLOW_SECONDS) as connection:
        connection.sendall(filled_in(wire.text, cookies))
        if not wire.ends:
            time.sleep(0.03)  # time to respond to what was sent
            connection.shutdown(socket.SHUT_WR)
        return connection.recv(65536)
    return b""


def test_nothing_that_reaches_the_server_breaks_it(tmp_path: Path) -> None:
    app = create_app({"INSTANCE_PATH": str(tmp_path), "SECRET_KEY": SECRET_KEY})
    statuses: Counter[bytes] = Counter()
    with running_site(tmp_path, QUART_SECRET_KEY=SECRET_KEY) as site:
        port, form = urlsplit(site.url).port or 0, FORMS["/register"] | {"email": EMAIL}
        given_cookies = httpx.post(f"{site.url}/register", data=form).cookies
        cookies = {name.encode(): value.encode() for name, value in given_cookies.items()}

        @tuned(max_examples=ON_THE_WIRE, **TUNED)
        @given(wires(requests(app)))
        def send(wire: Wire) -> None:
            started = time.monotonic()
            response = exchange(port, wire, cookies)
            assert time.monotonic() - started < SLOW_SECONDS
            # 501 is for a transfer coding that the server does not know (RFC 9112, 6.1).
            assert response == b"" or re.match(rb"HTTP/1\.1 ([1-4]\d\d|501) ", response)
            assert "Traceback" not in (tmp_path / "server.log").read_text()
            statuses.update([response[9:12]])

        send()
        assert httpx.get(f"{site.url}/healthz").json() == {"status": "alive"}
    assert "Traceback" not in (tmp_path / "server.log").read_text()
    assert statuses.keys() >= {b"200", b"303", b"400", b"404", b"422"}
