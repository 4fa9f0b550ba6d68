"""The headers of every response, and pages and cookies that keep to them."""

import asyncio
import re
import shutil
import socket
import zlib
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from html.parser import HTMLParser
from http.client import parse_headers
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, BinaryIO

import httpx
import pytest
from quart import Quart, Response, abort, template_rendered
from quart.typing import TestClientProtocol
from sqlalchemy import update

from app.auth import access
from app.lib import clock
from app.lib.asgi.body_limit import body_limit
from app.lib.db import DatabaseUnavailable
from app.models import User
from support.actions import EMAIL, change_password, create_user, execute, log_in, register
from support.app import ROOT, open_to, serving
from support.mail_helpers import link
from support.server_process import Server, running

Step = Callable[[TestClientProtocol], Awaitable[Response]]

SAME = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
JSON = {"Accept": "application/json"}
CSS = "/static/css/main.css"
PERSONAL_EMAIL = "ada.lovelace@example.com"
HANDSHAKE = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA=="


def check(headers: httpx.Headers, *, secure: bool = False) -> None:
    """Check the headers of every response, and that none is sent twice."""
    once = {name: headers.get_list(name) for name in headers if name not in ("set-cookie", "vary")}
    assert {name: values for name, values in once.items() if len(values) > 1} == {}
    assert {name: headers.get(name) for name in SAME} == SAME
    policy = dict(part.split(maxsplit=1) for part in headers["Content-Security-Policy"].split("; "))
    forbidden = {"object-src": "'none'", "base-uri": "'none'", "frame-ancestors": "'none'"}
    assert policy.items() >= ({"default-src": "'self'", "form-action": "'self'"} | forbidden).items()
    assert not re.search(r"unsafe|\*|https?:", str(policy))
    assert {"camera=()", "geolocation=()", "microphone=()"} <= set(headers["Permissions-Policy"].split(", "))
    assert re.fullmatch("[0-9a-f]{16}", headers["X-Request-ID"])
    assert ("Strict-Transport-Security" in headers) is secure
    assert "Server" not in headers


@pytest.fixture
async def app(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Quart]:
    monkeypatch.setattr(access, "is_public", open_to({"fail", "own"}))
    async with serving(settings, add_pages) as app:
        yield app


def add_pages(app: Quart) -> None:
    async def fail(status: int) -> str:
        if status == 503:
            raise DatabaseUnavailable("gone")
        return abort(status) if status != 500 else str(1 // 0)

    @body_limit(max_bytes=1, seconds=0.05)
    async def own() -> tuple[str, dict[str, str]]:
        return "", {"content-security-policy": "default-src 'none'"}

    app.add_url_rule("/fail/<int:status>", "fail", fail)
    app.add_url_rule("/own", "own", own, methods=["GET", "POST"])


async def send_slowly(client: TestClientProtocol) -> Response:
    async with client.request("/own", method="POST") as connection:
        await asyncio.sleep(0.1)
    return await connection.as_response()


async def log_in_too_often(client: TestClientProtocol) -> Response:
    client.app.config["RATE_LIMIT_LOGINS_PER_IP"] = "1 per hour"
    await log_in(client)
    return await log_in(client)


def sending(line: str) -> Step:
    method, path = line.split()
    return lambda client: client.open(path, method=method)  # type: ignore[call-arg] # its type forgets a default


SIMPLE = {
    200: ["GET /", "HEAD /", "OPTIONS /", "GET /api/", "GET /healthz", "GET /readyz"],
    303: ["GET /change"],
    308: ["GET /api"],
    400: ["GET /%00"],
    404: ["GET /nowhere", "HEAD /nowhere", "GET /api/nowhere", "GET /static/nope.css"],
    405: ["POST /", f"POST {CSS}"],
    414: ["GET " + "/a" * 1200],
    422: ["POST /register"],
    500: ["GET /fail/500"],
    503: ["GET /fail/503"],
}
RESPONSES: list[tuple[int, Step]] = [
    (303, register),
    (400, lambda c: c.get("/", headers={"Host": "evil.example"})),
    (400, lambda c: c.get("/api/", headers={"Host": "evil.example"})),
    (401, lambda c: c.get("/change", headers=JSON)),
    (403, lambda c: c.post("/login", headers={"Sec-Fetch-Site": "cross-site"})),
    (403, lambda c: c.post("/static/x", headers={"Origin": "null"})),
    (408, send_slowly),
    (413, lambda c: c.post("/login", data=b"x" * 70_000)),
    (416, lambda c: c.get(CSS, headers={"Range": "bytes=999999-"})),
    (422, lambda c: c.post("/register", headers=JSON)),
    (500, lambda c: c.get("/fail/500", headers=JSON)),
    (429, log_in_too_often),
]
FILES: list[tuple[int, Step]] = [
    (200, lambda c: c.get(CSS)),
    (200, lambda c: c.head(CSS)),
    (206, lambda c: c.get(CSS, headers={"Range": "bytes=0-9"})),
    (304, lambda c: c.get(CSS, headers={"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"})),
]


async def test_every_response_is_safe_and_stored_nowhere(app: Quart, subtests: pytest.Subtests) -> None:
    simple = [(status, sending(line)) for status, lines in SIMPLE.items() for line in lines]
    for number, (status, step) in enumerate(simple + RESPONSES):
        with subtests.test(number=number, status=status):
            response = await step(app.test_client())
            assert response.status_code == status
            check(httpx.Headers(list(response.headers)))
            assert response.headers["Cache-Control"] == "no-store"
            assert {"Cookie", "Accept-Language"} <= set(response.vary)


async def test_a_file_is_safe_and_may_be_stored(client: TestClientProtocol) -> None:
    await register(client)
    for status, step in FILES:
        response = await step(client)
        assert response.status_code == status
        check(httpx.Headers(list(response.headers)))
        assert "no-store" not in response.headers.get("Cache-Control", "")
        assert "Set-Cookie" not in response.headers


async def test_a_file_that_is_linked_with_its_version_may_be_stored_for_a_year(client: TestClientProtocol) -> None:
    (link,) = set(re.findall(r'href="(/static/css/[^"]+)"', await (await client.get("/")).get_data(as_text=True)))

    stored = [(await client.get(path)).headers["Cache-Control"] for path in (link, f"{CSS}?v=other", CSS)]
    assert stored == ["public, max-age=31536000, immutable", "no-cache", "no-cache"]


async def test_on_https_every_response_has_hsts(settings: dict[str, Any]) -> None:
    async with serving(settings | {"BASE_URL": "https://localhost"}) as app:
        for path in ("/", "/nowhere", CSS, "/%00"):
            response = await app.test_client().get(path)
            check(httpx.Headers(list(response.headers)), secure=True)
            assert response.headers["Strict-Transport-Security"].startswith("max-age=")


async def test_a_page_may_have_a_policy_of_its_own(client: TestClientProtocol) -> None:
    response = await client.get("/own")

    assert response.headers.getlist("Content-Security-Policy") == ["default-src 'none'"]
    assert response.headers.getlist("X-Content-Type-Options") == ["nosniff"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(sqlite_template, folder)
    with running(folder) as server:
        yield server


@pytest.mark.programs
def test_a_real_server_sends_the_same_headers_and_no_server_header(site: Server) -> None:
    with httpx.Client(base_url=f"http://{site.address}") as browser:
        for method, path, more in (
            ("GET", "/", {}),
            ("HEAD", "/", {}),
            ("OPTIONS", "/", {}),
            ("GET", CSS, {}),
            ("GET", "/", {"Host": "evil.example"}),
            ("POST", "/login", {"Origin": "https://evil.example"}),
            ("PUT", "/login", {}),
            ("GET", "/nowhere", JSON),
        ):
            check(browser.request(method, path, headers=more).headers)


@contextmanager
def response_to(server: Server, head: str) -> Iterator[tuple[bytes, Message, BinaryIO]]:
    """Send the head of a request; yield the status line and headers of the response, and its body."""
    host, _, port = server.address.partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection, connection.makefile("rb") as response:
        connection.sendall(f"{head}\r\n\r\n".encode())
        yield response.readline(), parse_headers(response), response


@pytest.mark.programs
def test_a_refused_websocket_gets_the_headers_too(site: Server) -> None:
    for host, more in ("localhost", ""), ("localhost", "Origin: https://evil.example\r\n"), ("evil.example", ""):
        head = f"GET /nowhere HTTP/1.1\r\nHost: {host}\r\n{more}{HANDSHAKE}"
        with response_to(site, head) as (status, headers, _):
            assert re.match(rb"HTTP/1.1 (400|403|404) ", status)
            check(httpx.Headers(headers.items()))


@pytest.mark.programs
def test_a_server_that_does_not_read_a_refused_body_announces_that_it_closes_the_connection(site: Server) -> None:
    """Otherwise a proxy would send the next request into the connection, and lose it."""
    head = f"POST /login HTTP/1.1\r\nHost: {site.address}\r\nOrigin: https://evil.example\r\nContent-Length: 9"
    with response_to(site, head) as (status, headers, body):  # the body of the request never follows
        assert status.startswith(b"HTTP/1.1 403 ")
        assert headers["Connection"] == "close"
        assert body.read()  # until the server closes it


class Inline(HTMLParser):
    """Find what the policy forbids: scripts and styles inside a page, and files of other sites."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        inline = tag in ("style", "base", "iframe", "object") or (tag == "script" and "src" not in values)
        strange = [name for name in values if name == "style" or name.startswith("on")]
        links = [values.get(name) or "/" for name in ("src", "href", "action")]
        if inline or strange or any(not re.match(r"[/#](?!/)", link) for link in links):
            self.found.append(self.get_starttag_text() or tag)


OF_A_PERSON = ("/account", "/account/activity", "/account/delete", "/sessions", "/change-email", "/verify", "/reset")


async def pages_of_links(app: Quart, client: TestClientProtocol) -> list[Response]:
    """Return the page behind every kind of mailed link, and what asks for them."""
    await client.post("/change-email", form={"email": "new@example.com"})
    await client.post("/reset", form={"email": EMAIL})
    paths = [await link(app, "change_email"), await link(app, "reset"), "/confirm"]
    await log_in(app.test_client())
    paths.append(await link(app, "new_login"))
    pages = [await client.get(path) for path in paths]
    await client.post(paths[0])
    await execute(app, update(User).values(confirmed_on=None))
    await client.post("/confirm", form={"email": "new@example.com"})
    near = {"scope_base": {"client": ("127.0.0.1", 5)}}
    more = [await client.get(await link(app, template)) for template in ("email_changed", "confirm")]
    return [*pages, *more, await client.get("/dev/mailbox", **near)]


@pytest.fixture
def settings(settings: dict[str, Any], request: pytest.FixtureRequest) -> dict[str, Any]:
    return settings | getattr(request, "param", {})


@pytest.mark.parametrize("settings", [{"SECURITY_CONFIRMABLE": True}], indirect=True)
async def test_no_page_has_anything_inline_or_foreign(app: Quart, client: TestClientProtocol) -> None:
    rendered: set[str] = set()

    async def note(_app: Quart, template: Any, **_: Any) -> None:
        rendered.add(template.name)

    errors = [await client.get(f"/fail/{status}") for status in (400, 401, 403, 404, 408, 413, 414, 429, 500, 503)]
    with template_rendered.connected_to(note, app):
        pages = [await client.get(path) for path in ("/", "/about", "/login?next=/about", "/register?next=/x", "/nope")]
        pages += [await client.post(path) for path in ("/login", "/register")]
        await create_user(app)
        await execute(app, update(User).values(confirmed_on=clock.now()))
        await log_in(client)
        pages += [await client.get(path) for path in ("/", "/about", "/change", "/nope", *OF_A_PERSON)]
        pages += [await client.post("/change"), *await pages_of_links(app, client)]
    for answer in errors + pages:
        assert Inline(await answer.get_data(as_text=True)).found == []
    folder = ROOT / "src/app/templates"
    pages_of_ours = {str(path.relative_to(folder)) for path in folder.rglob("*.html") if "layout" not in str(path)}
    assert rendered == pages_of_ours - {"macros.html"}


def texts_in(cookie: str) -> Iterator[str]:
    """Yield every text that can be read in a cookie."""
    yield cookie
    for part in re.split(r"[.~:]", cookie):
        decoded = urlsafe_b64decode(part + "=" * (-len(part) % 4)) if len(part) % 4 != 1 else b""
        yield decoded.decode("latin-1")
        if cookie.startswith("."):
            yield zlib.decompressobj().decompress(decoded).decode() if decoded[:1] == b"x" else ""


@pytest.mark.parametrize("base_url", ["http://localhost", "https://localhost"])
async def test_every_cookie_is_httponly_and_contains_nothing_personal(settings: dict[str, Any], base_url: str) -> None:
    async with serving(settings | {"BASE_URL": base_url}) as app:
        await create_user(app, "eve@example.com")
        await execute(app, update(User).values(id=987654320))  # the next one has an id that can be recognised
        client = app.test_client()
        responses = [await register(client, email=PERSONAL_EMAIL)]
        await execute(app, update(User).where(User.id == 987654321).values(name="Augusta King"))
        responses += [await client.get("/"), await client.post("/logout")]
        responses += [await log_in(client, email=PERSONAL_EMAIL, remember="on"), await change_password(client)]
        responses += [await client.get("/"), await client.post("/logout")]

    headers = [header for response in responses for header in response.headers.getlist("Set-Cookie")]
    cookies = [next(iter(SimpleCookie(header).values())) for header in headers]
    prefix = "__Host-" if base_url.startswith("https") else ""
    assert {cookie.key for cookie in cookies} == {f"{prefix}{name}" for name in ("auth", "session", "device")}
    for cookie in cookies:
        flags = (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["domain"], bool(cookie["secure"]))
        assert flags == (True, "Lax", "/", "", bool(prefix)), cookie
        readable = " ".join(texts_in(cookie.value)).lower()
        assert not any(word in readable for word in ("lovelace", "example.com", "augusta", "98765432")), cookie
