"""What is compressed, for whom, and what every answer says of it."""

import asyncio
import contextlib
import gzip
import secrets
import shutil
import socket
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
import pytest
from hypercorn.asyncio import serve
from hypercorn.config import Config
from quart import Quart, Response, abort
from quart.typing import TestClientProtocol
from werkzeug.datastructures import Headers

from app.app_factory import create_app
from app.middleware import authentication, compression
from app.middleware.asgi import App, Message, Receive, Scope, Send
from app.middleware.compression import LARGEST, PIECE, SMALLEST, Compression
from app.middleware.public_endpoints import PUBLIC_ENDPOINTS
from conftest import serving
from mariadb_server import free_port
from people import register
from site_process import Site, running_site

BROWSER = {"Accept-Encoding": "gzip, deflate, br, zstd"}
CSS = "/static/vendor/pico/pico.classless.min.css"
JSON = {"Accept": "application/json"}
heard = asyncio.Semaphore(1)
LINE = "<p>A line as good as any other, and then one more of them.</p>\n"


@pytest.fixture
def database_uri(sqlite_template: Path, tmp_path: Path) -> str:
    """Return one database: how an answer travels does not depend on its kind."""
    shutil.copy(sqlite_template, tmp_path)
    return "sqlite:///app.db"


@pytest.fixture
async def app(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Quart]:
    monkeypatch.setattr(authentication, "PUBLIC_ENDPOINTS", ENDPOINTS)
    async with serving(settings) as app:
        add_pages(app)
        yield app


async def long(length: int) -> str:
    return (LINE * (length // len(LINE) + 1))[:length]


async def fail(status: int) -> str:
    return abort(status) if status != 500 else str(1 // 0)


async def encoded() -> tuple[str, dict[str, str]]:
    return LINE * 100, {"Content-Encoding": "identity", "ETag": '"a"'}


async def picture() -> Response:
    return Response(b"\x89PNG" * 1000, content_type="image/png")


async def nothing() -> tuple[str, int]:
    return "", 204


async def names() -> dict[str, list[str]]:
    return {"names": ["Ada"] * 1000}


async def live() -> AsyncIterator[str]:
    """Say a word only when the one before was read."""
    for number in range(3):
        await asyncio.wait_for(heard.acquire(), 10)
        yield f"word {number}, "


PAGES: dict[str, Callable[..., Any]] = {
    "/live": live,
    "/long/<int:length>": long,
    "/fail/<int:status>": fail,
    "/encoded": encoded,
    "/picture": picture,
    "/nothing": nothing,
    "/names": names,
}


ENDPOINTS = PUBLIC_ENDPOINTS | {view.__name__ for view in PAGES.values()}


def add_pages(app: Quart) -> None:
    app._got_first_request = False  # a site that is served takes no more routes; these are made by a test
    for path, view in PAGES.items():
        app.add_url_rule(path, view.__name__, view)


def encoding(answer: Response) -> str:
    return answer.headers.get("Content-Encoding", "none")


async def opened(answer: Response) -> str:
    """Return what the body says to a client that believes the headers, and check that they fit it."""
    body = await answer.get_data(as_text=False)
    assert answer.content_length == len(body)
    return (gzip.decompress(body) if encoding(answer) == "gzip" else body).decode()


async def test_a_page_comes_compressed_says_so_and_is_the_same(client: TestClientProtocol) -> None:
    compressed, plain = await client.get("/", headers=BROWSER), await client.get("/")

    assert (encoding(compressed), encoding(plain)) == ("gzip", "none")
    assert await opened(compressed) == await opened(plain)
    assert (compressed.content_length or 0) < (plain.content_length or 0)
    assert set(compressed.vary) == set(plain.vary) == {"Cookie", "Accept-Language", "Accept-Encoding"}


TAKEN = [
    "gzip",
    "GZip",
    "x-gzip",
    "deflate, gzip;q=1.0",
    "br;q=1.0, gzip;q=0.001 , *;q=0",
    "\tgzip ; Q=0.5\t,",
    "*",
    "*;q=0.1",
    "identity;q=0.5, gzip;q=0.5",
    ", , gzip",
]
NOT_TAKEN = [
    "",
    ",;,",
    "identity",
    "br, deflate",
    "gzip;q=0",
    "gzip;q=0.000",
    "x-gzip;q=0",
    "*;q=0",
    "gzip;q=0, *",
    "*, gzip;q=0",
    "gzip, gzip;q=0",
    "gzip;q=0, gzip",
    "gzip;",
    "gzip;q",
    "gzip;q=",
    "gzip;q=-1",
    "gzip;q=2",
    "gzip;q=1.5",
    "gzip;q=nan",
    "gzip;q=inf",
    "gzip;q=1e9",
    "gzip;q=0.5000",
    "gzip;q=1;q=1",
    "gzip;level=9",
    "gzip q=1",
    "gzipped",
    "notgzip",
    '"gzip"',
    "gzip\x0b",
    "identity, gzip;q=0.5",
    "gzip," * 10_000,
    "gzip" + " " * 50_000,
    "gzip;q=0." + "0" * 50_000,
]


@pytest.mark.parametrize(("value", "taken"), [(v, True) for v in TAKEN] + [(v, False) for v in NOT_TAKEN])
async def test_only_who_takes_gzip_gets_it(client: TestClientProtocol, value: str, *, taken: bool) -> None:
    answer = await client.get("/", headers={"Accept-Encoding": value})

    assert (answer.status_code, encoding(answer)) == (200, "gzip" if taken else "none")
    assert "<!doctype html>" in await opened(answer)


async def test_a_header_that_comes_twice_is_read_as_one(client: TestClientProtocol) -> None:
    for values, expected in ((("br", "gzip"), "gzip"), (("gzip", "gzip;q=0"), "none")):
        answer = await client.get("/", headers=Headers([("Accept-Encoding", value) for value in values]))

        assert encoding(answer) == expected


@pytest.mark.parametrize("length", [SMALLEST, PIECE + 1, LARGEST, LARGEST + 1, 3_000_000])
async def test_a_page_of_any_length_arrives_whole(client: TestClientProtocol, length: int) -> None:
    answer = await client.get(f"/long/{length}", headers=BROWSER)

    assert encoding(answer) == "gzip"
    body = await answer.get_data(as_text=False)
    assert gzip.decompress(body).decode() == await (await client.get(f"/long/{length}")).get_data(as_text=True)
    assert len(body) < length / 5


async def test_what_would_gain_nothing_is_sent_as_it_is(client: TestClientProtocol) -> None:
    for path in (f"/long/{SMALLEST - 1}", "/picture", "/nothing", "/encoded", "/api/"):
        answer = await client.get(path, headers=BROWSER)

        assert encoding(answer) in ("none", "identity")
        assert "Accept-Encoding" not in answer.vary
        assert answer.headers.get("ETag", '"a"') == '"a"'


ERRORS = [
    (400, "/", {"Host": "evil.example"}),
    (403, "/fail/403", {}),
    (404, "/nowhere", {}),
    (404, "/static/nope.css", {}),
    (414, "/a" * 1200, {}),
    (429, "/fail/429", {}),
    (500, "/fail/500", {}),
]


@pytest.mark.parametrize(("status", "path", "more"), ERRORS)
async def test_error_pages_are_compressed(
    client: TestClientProtocol, status: int, path: str, more: dict[str, str]
) -> None:
    answer = await client.get(path, headers=BROWSER | more)

    assert (answer.status_code, encoding(answer)) == (status, "gzip")
    assert answer.headers["X-Request-ID"] in await opened(answer)


async def test_a_form_that_is_refused_is_compressed(client: TestClientProtocol) -> None:
    answer = await client.post("/login", form={"email": "nobody"}, headers=BROWSER)

    assert (answer.status_code, encoding(answer)) == (422, "gzip")


async def test_json_is_compressed_when_it_is_long(client: TestClientProtocol) -> None:
    answer = await client.get("/names", headers=BROWSER | JSON)

    assert (answer.mimetype, encoding(answer)) == ("application/json", "gzip")
    assert (await opened(answer)).count("Ada") == 1000


ASKED = [
    ({}, False),
    ({"Sec-Fetch-Site": "cross-site"}, False),
    ({"Sec-Fetch-Site": "same-site"}, False),
    ({"Sec-Fetch-Site": "same-origin, none"}, False),
    ({"Sec-Fetch-Site": "same-origin"}, True),
    ({"Sec-Fetch-Site": "none"}, True),
]


@pytest.mark.parametrize(("header", "compressed"), ASKED)
async def test_no_other_site_can_guess_at_the_page_of_a_person_by_its_length(
    client: TestClientProtocol, header: dict[str, str], *, compressed: bool
) -> None:
    await register(client)

    for path in ("/", "/account", "/static/nope.css", "/nowhere"):
        answer = await client.get(path, headers=BROWSER | header)
        assert (encoding(answer) == "gzip") is compressed
        assert set(answer.vary) == {"Cookie", "Accept-Language", "Accept-Encoding"}
    assert encoding(await client.get(CSS, headers=BROWSER | header)) == "gzip"


async def test_a_stranger_needs_no_guarding(client: TestClientProtocol) -> None:
    answer = await client.get("/", headers=BROWSER | {"Sec-Fetch-Site": "cross-site"})

    assert encoding(answer) == "gzip"


async def test_a_compressed_file_has_a_weak_tag_and_is_asked_for_with_it(client: TestClientProtocol) -> None:
    await register(client)
    strong = (await client.get(CSS)).headers["ETag"]
    first = await client.get(CSS, headers=BROWSER)
    tag = first.headers["ETag"]
    again = await client.get(CSS, headers=BROWSER | {"If-None-Match": tag})

    assert (tag, encoding(first), first.vary.as_set()) == (f"W/{strong}", "gzip", {"accept-encoding"})
    assert (again.status_code, again.headers["ETag"], encoding(again)) == (304, tag, "none")
    assert "Accept-Encoding" in again.vary
    assert (await client.get(CSS, headers={"If-None-Match": strong})).headers["ETag"] == strong
    assert await opened(first) == (Path(compression.__file__).parents[1] / CSS[1:]).read_text()


async def test_a_file_is_compressed_once(client: TestClientProtocol) -> None:
    compression.compressed_file.cache_clear()
    for path in (CSS, CSS, f"{CSS}?v=2", "/static/nope.css", "/", "/nowhere"):
        assert encoding(await client.get(path, headers=BROWSER)) == "gzip"

    known = compression.compressed_file.cache_info()
    assert (known.misses, known.hits, known.maxsize) == (1, 2, 64)


async def test_a_part_of_a_file_is_never_compressed(client: TestClientProtocol) -> None:
    part = await client.get(CSS, headers=BROWSER | {"Range": "bytes=10-2009"})

    assert (part.status_code, encoding(part), part.content_length) == (206, "none", 2000)
    assert part.headers["ETag"].startswith('"')
    assert "Accept-Encoding" in part.vary


async def test_no_part_is_joined_to_compressed_bytes(client: TestClientProtocol) -> None:
    file = await client.get(CSS, headers=BROWSER)
    compressed, plain = file.headers["ETag"], (await client.get(CSS)).headers["ETag"]

    for tag, status in ((compressed, 200), (file.headers["Last-Modified"], 200), (plain, 206)):
        answer = await client.get(CSS, headers=BROWSER | {"Range": "bytes=5000-", "If-Range": tag})
        assert answer.status_code == status


async def test_a_long_page_holds_nobody_up(app: Quart, client: TestClientProtocol) -> None:
    asked, turns = asyncio.create_task(client.get("/long/5000000", headers=BROWSER)), 0
    while not asked.done():
        await asyncio.sleep(0)
        turns += 1

    assert turns > 5_000_000 / PIECE


@pytest.fixture
async def address(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """Serve the pages of these tests over a real socket."""
    monkeypatch.setattr(authentication, "PUBLIC_ENDPOINTS", ENDPOINTS)
    app, config, enough = create_app(settings), Config(), asyncio.Event()
    add_pages(app)
    port = free_port()
    config.bind, config.errorlog = [f"127.0.0.1:{port}"], None
    serving_it = asyncio.create_task(serve(cast(Any, app), config, shutdown_trigger=cast(Any, enough.wait)))
    await until_it_listens(port)
    yield f"http://localhost:{port}"
    enough.set()
    await serving_it


async def until_it_listens(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)


async def test_a_stream_is_compressed_and_heard_word_by_word(address: str) -> None:
    words = [""]
    async with httpx.AsyncClient() as client, client.stream("GET", f"{address}/live", headers=BROWSER) as answer:
        assert (answer.headers["Content-Encoding"], answer.headers["Transfer-Encoding"]) == ("gzip", "chunked")
        async for word in answer.aiter_text():
            words.append(word)
            heard.release()

    assert "".join(words) == "word 0, word 1, word 2, "


@pytest.mark.parametrize("length", [70_000, 3_000_000])
async def test_a_long_page_arrives_over_the_wire(address: str, length: int) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{address}/long/{length}", headers=BROWSER)

    assert (answer.headers["Content-Encoding"], answer.text) == ("gzip", await long(length))


async def sent_by(app: App, path: str = "/") -> list[Message]:
    """Return what becomes of the messages of an app that is no Quart."""
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": "GET", "path": path, "headers": [(b"accept-encoding", b"gzip")]}
    await Compression(app, static="/static/")(scope, receive, send)
    return messages


def app_that_sends(*bodies: bytes, status: int = 200, **headers: str) -> App:
    named = {"content_type": "text/plain"} | headers

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in named.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        for body in bodies[:-1]:
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": bodies[-1]})

    return app


async def test_of_a_stream_each_part_can_be_read_as_it_comes() -> None:
    start, *parts = await sent_by(app_that_sends(b"one", b"", b"two" * 50_000, b"three"))

    assert dict(start["headers"])[b"content-encoding"] == b"gzip"
    assert b"content-length" not in dict(start["headers"])
    opener, read = zlib.decompressobj(31), [b""]
    for part in parts:
        read.append(read[-1] + opener.decompress(part["body"]))
    assert b"one" in read
    assert b"one" + b"two" * 50_000 in read
    assert read[-1] == b"one" + b"two" * 50_000 + b"three"
    assert opener.eof
    assert [part.get("more_body", False) for part in parts].count(False) == 1


async def test_a_long_file_is_sent_while_it_is_read() -> None:
    pieces = [secrets.token_hex(4000).encode() for _ in range(100)]
    assert sum(map(len, pieces)) > LARGEST

    start, *parts = await sent_by(app_that_sends(*pieces, content_length="800000"), "/static/long.txt")

    assert b"content-length" not in dict(start["headers"])
    first_half = b"".join(part["body"] for part in parts[: len(parts) // 2])
    assert len(zlib.decompressobj(31).decompress(first_half)) > 300_000
    assert gzip.decompress(b"".join(part["body"] for part in parts)) == b"".join(pieces)


@pytest.mark.parametrize("bodies", [(b"", b""), (b"x" * 999, b""), (b"x" * 1001, b""), (b"x" * 999, b"xx", b"x")])
async def test_a_body_that_is_not_as_long_as_it_says_is_left_to_the_server(bodies: tuple[bytes, ...]) -> None:
    start, *parts = await sent_by(app_that_sends(*bodies, content_length="1000"))

    assert dict(start["headers"])[b"content-length"] == b"1000"
    assert b"content-encoding" not in dict(start["headers"])
    assert b"".join(part["body"] for part in parts) == b"".join(bodies)
    assert max(len(part["body"]) for part in parts) <= 1001  # what is too long is not held


async def test_an_answer_without_a_body_has_no_coding() -> None:
    start, *_ = await sent_by(app_that_sends(b"", b"", status=204))

    assert start["headers"] == [(b"content-type", b"text/plain")]


async def test_an_answer_that_speaks_of_a_part_is_not_compressed() -> None:
    for app in (
        app_that_sends(b"x" * 1000, content_range="bytes */9999"),
        app_that_sends(b"x" * 1000, content_encoding="br"),
    ):
        start, part = await sent_by(app)

        assert dict(start["headers"]).get(b"content-encoding") in (None, b"br")
        assert part["body"] == b"x" * 1000


KINDS = {
    "text/html": True,
    "TEXT/CSS; charset=utf-8": True,
    "text/javascript": True,
    "application/javascript": True,
    "application/json": True,
    "application/problem+json": True,
    "image/svg+xml": True,
    "application/xml": True,
    "": False,
    "text": False,
    "image/png": False,
    "font/woff2": False,
    "application/octet-stream": False,
    "application/pdf": False,
    "application/x-text/html": False,
}


@pytest.mark.parametrize(("kind", "compressed"), KINDS.items())
async def test_only_text_is_compressed(kind: str, *, compressed: bool) -> None:
    start, _ = await sent_by(app_that_sends(b"x" * 1000, content_type=kind))

    assert (b"content-encoding" in dict(start["headers"])) is compressed


async def test_what_is_no_answer_passes() -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.early_hint", "links": []})

    assert await sent_by(app) == [{"type": "http.response.early_hint", "links": []}]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("instance")) as running:
        yield running


def exchange(site: Site, request: str) -> tuple[str, bytes]:
    """Send what no library would, until the server hangs up; return the head in lower case, and the rest."""
    with socket.create_connection(("127.0.0.1", urlsplit(site.url).port or 0), 10) as connection:
        connection.sendall(request.replace("\n", "\r\n").encode("latin-1"))
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = received.partition(b"\r\n\r\n")
    return head.decode().lower(), body


@pytest.mark.parametrize("path", ["/", "/about", "/login", "/register", "/nowhere", CSS, "/static/css/main.css"])
def test_a_real_client_reads_the_same_with_and_without(site: Site, path: str) -> None:
    with httpx.Client(base_url=site.url) as client:
        compressed = client.get(path, headers={"Accept-Encoding": "gzip"})
        plain = client.get(path, headers={"Accept-Encoding": "identity"})

    assert compressed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    number = {answer.headers["X-Request-ID"] for answer in (compressed, plain)}
    texts = {answer.text.replace(answer.headers["X-Request-ID"], "") for answer in (compressed, plain)}
    assert (len(number), len(texts)) == (2, 1)


@pytest.mark.parametrize("path", ["/", CSS])
def test_the_head_of_an_answer_is_that_of_its_get(site: Site, path: str) -> None:
    with httpx.Client(base_url=site.url, headers=BROWSER) as client:
        answers = [dict(client.request(method, path).headers) for method in ("GET", "HEAD")]

    own = ("date", "expires", "x-request-id")
    get, head = ({name: value for name, value in answer.items() if name not in own} for answer in answers)
    assert get == head
    assert head["content-encoding"] == "gzip"


@pytest.mark.parametrize(
    ("version", "more"),
    [("1.0", ""), ("1.1", "TE: gzip, trailers\nConnection: close, TE\n"), ("1.1", "TE: \xe9;q=9\nConnection: close\n")],
)
@pytest.mark.parametrize("path", ["/", CSS])
def test_an_old_or_strange_client_reads_it_too(site: Site, path: str, version: str, more: str) -> None:
    head, body = exchange(site, f"GET {path} HTTP/{version}\nHost: localhost\nAccept-Encoding: gzip\n{more}\n")

    assert " 200" in head.splitlines()[0]
    assert f"content-length: {len(body)}" in head.splitlines()
    assert len(gzip.decompress(body)) > SMALLEST


@pytest.mark.parametrize("value", ["\xff\xfe", "gzip;q=" + "9" * 20_000, "," * 20_000, "gzip;" * 4_000])
def test_no_header_breaks_a_real_server(site: Site, value: str) -> None:
    head, _ = exchange(site, f"GET / HTTP/1.1\nHost: localhost\nAccept-Encoding: {value}\nConnection: close\n\n")

    assert " 200" in head.splitlines()[0]
    assert "content-encoding" not in head


@pytest.mark.parametrize(
    ("varies", "then"),
    [
        ({}, b"Accept-Encoding"),
        ({"vary": "Cookie"}, b"Cookie, Accept-Encoding"),
        ({"vary": "Cookie", "Vary": "Accept"}, b"Cookie, Accept, Accept-Encoding"),
        ({"vary": "Cookie, accept-encoding"}, b"Cookie, accept-encoding"),
        ({"vary": "*"}, b"*"),
    ],
)
async def test_caches_hear_once_that_others_get_it_plain(varies: dict[str, Any], then: bytes) -> None:
    start, *_ = await sent_by(app_that_sends(b"x" * 1000, **varies))

    assert [value for name, value in start["headers"] if name.lower() == b"vary"] == [then]


@pytest.mark.parametrize(("etag", "then"), [('"a"', b'W/"a"'), ('W/"a"', b'W/"a"')])
async def test_what_named_the_plain_bytes_does_not_name_the_compressed_ones(etag: str, then: bytes) -> None:
    start, *_ = await sent_by(app_that_sends(b"x" * 1000, etag=etag, accept_ranges="bytes"))

    headers = dict(start["headers"])
    assert headers[b"etag"] == then
    assert b"accept-ranges" not in headers
