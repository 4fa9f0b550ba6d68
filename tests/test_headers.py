"""What every answer tells the browser, whoever gives it, and what our pages and cookies are to fit it."""

import asyncio
import re
import shutil
import socket
import zlib
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from html.parser import HTMLParser
from http.client import parse_headers
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import httpx
import pytest
from quart import Quart, Response, abort, template_rendered
from quart.typing import TestClientProtocol
from sqlalchemy import update

from app.middleware import authentication
from app.middleware.body_guard import takes_body
from app.middleware.public_endpoints import PUBLIC_ENDPOINTS
from app.models import User, clock
from app.models.core import DatabaseUnavailable
from conftest import ROOT, serving
from letters_read import link
from people import EMAIL, change_password, create_user, execute, log_in, register
from test_run import Server, running

Step = Callable[[TestClientProtocol], Awaitable[Response]]

SAME = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
JSON = {"Accept": "application/json"}
CSS = "/static/css/main.css"
ADDRESS = "ada.lovelace@example.com"
HANDSHAKE = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n\r\n"


def check(headers: httpx.Headers, *, secure: bool = False) -> None:
    """Check what stands on every answer, and that nothing does twice."""
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
def database_uri(sqlite_template: Path, tmp_path: Path) -> str:
    """Return one database: a header does not depend on its kind."""
    shutil.copy(sqlite_template, tmp_path)
    return "sqlite:///app.db"


@pytest.fixture
async def app(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Quart]:
    monkeypatch.setattr(authentication, "PUBLIC_ENDPOINTS", PUBLIC_ENDPOINTS | {"fail", "own"})
    async with serving(settings, add_pages) as app:
        yield app


def add_pages(app: Quart) -> None:
    async def fail(status: int) -> str:
        if status == 503:
            raise DatabaseUnavailable("gone")
        return abort(status) if status != 500 else str(1 // 0)

    @takes_body(max_bytes=1, seconds=0.05)
    async def own() -> tuple[str, dict[str, str]]:
        return "", {"content-security-policy": "default-src 'none'"}

    app.add_url_rule("/fail/<int:status>", "fail", fail)
    app.add_url_rule("/own", "own", own, methods=["GET", "POST"])


async def send_slowly(client: TestClientProtocol) -> Response:
    async with client.request("/own", method="POST") as connection:
        await asyncio.sleep(0.1)
    return await connection.as_response()


async def log_in_too_often(client: TestClientProtocol) -> Response:
    client.app.config["THROTTLE_LOG_INS_PER_ADDRESS"] = "1 per hour"
    await log_in(client)
    return await log_in(client)


ANSWERS: list[tuple[int, Step]] = [
    (200, lambda c: c.get("/")),
    (200, lambda c: c.head("/")),
    (200, lambda c: c.options("/")),
    (200, lambda c: c.get("/api/")),
    (200, lambda c: c.get("/healthz")),
    (200, lambda c: c.get("/readyz")),
    (303, register),
    (303, lambda c: c.get("/change")),
    (308, lambda c: c.get("/api")),
    (400, lambda c: c.get("/", headers={"Host": "evil.example"})),
    (400, lambda c: c.get("/api/", headers={"Host": "evil.example"})),
    (400, lambda c: c.get("/%00")),
    (401, lambda c: c.get("/change", headers=JSON)),
    (403, lambda c: c.post("/login", headers={"Sec-Fetch-Site": "cross-site"})),
    (403, lambda c: c.post("/static/x", headers={"Origin": "null"})),
    (404, lambda c: c.get("/nowhere")),
    (404, lambda c: c.head("/nowhere")),
    (404, lambda c: c.get("/api/nowhere")),
    (404, lambda c: c.get("/static/nope.css")),
    (405, lambda c: c.post("/")),
    (405, lambda c: c.post(CSS)),
    (408, send_slowly),
    (413, lambda c: c.post("/login", data=b"x" * 70_000)),
    (414, lambda c: c.get("/a" * 1200)),
    (416, lambda c: c.get(CSS, headers={"Range": "bytes=999999-"})),
    (422, log_in),
    (422, lambda c: c.post("/register", headers=JSON)),
    (429, log_in_too_often),
    (500, lambda c: c.get("/fail/500")),
    (500, lambda c: c.get("/fail/500", headers=JSON)),
    (503, lambda c: c.get("/fail/503")),
]
FILES: list[tuple[int, Step]] = [
    (200, lambda c: c.get(CSS)),
    (200, lambda c: c.head(CSS)),
    (206, lambda c: c.get(CSS, headers={"Range": "bytes=0-9"})),
    (304, lambda c: c.get(CSS, headers={"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"})),
]


@pytest.mark.parametrize(("status", "step"), ANSWERS)
async def test_every_answer_is_safe_and_kept_nowhere(client: TestClientProtocol, status: int, step: Step) -> None:
    answer = await step(client)

    assert answer.status_code == status
    check(httpx.Headers(list(answer.headers)))
    assert answer.headers["Cache-Control"] == "no-store"
    assert {"Cookie", "Accept-Language"} <= set(answer.vary)


@pytest.mark.parametrize(("status", "step"), FILES)
async def test_a_file_is_safe_and_may_be_kept(client: TestClientProtocol, status: int, step: Step) -> None:
    await register(client)
    answer = await step(client)

    assert answer.status_code == status
    check(httpx.Headers(list(answer.headers)))
    assert "no-store" not in answer.headers.get("Cache-Control", "")
    assert "Set-Cookie" not in answer.headers


async def test_a_file_under_the_name_of_its_content_may_be_kept_for_a_year(client: TestClientProtocol) -> None:
    (link,) = set(re.findall(r'href="(/static/css/[^"]+)"', await (await client.get("/")).get_data(as_text=True)))

    kept = [(await client.get(path)).headers["Cache-Control"] for path in (link, f"{CSS}?v=other", CSS)]
    assert kept == ["public, max-age=31536000, immutable", "no-cache", "no-cache"]


async def test_with_https_browsers_are_told_to_stay_with_it(settings: dict[str, Any]) -> None:
    async with serving(settings | {"BASE_URL": "https://localhost"}) as app:
        for path in ("/", "/nowhere", CSS, "/%00"):
            answer = await app.test_client().get(path)
            check(httpx.Headers(list(answer.headers)), secure=True)
            assert answer.headers["Strict-Transport-Security"].startswith("max-age=")


async def test_a_page_may_have_a_policy_of_its_own(client: TestClientProtocol) -> None:
    answer = await client.get("/own")

    assert answer.headers.getlist("Content-Security-Policy") == ["default-src 'none'"]
    assert answer.headers.getlist("X-Content-Type-Options") == ["nosniff"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(sqlite_template, folder)
    with running(folder) as server:
        yield server


def test_a_real_server_says_the_same_and_not_what_it_is(site: Server) -> None:
    with httpx.Client(base_url=f"http://{site.address}") as browser:
        for method, path, more in (
            ("GET", "/", {}),
            ("HEAD", "/", {}),
            ("OPTIONS", "/", {}),
            ("GET", CSS, {}),
            ("GET", "/", {"Host": "evil.example"}),
            ("POST", "/login", {"Origin": "https://evil.example"}),
            ("PUT", "/login", {}),
            ("GET", "/nowhere", {"Accept": "application/json"}),
        ):
            check(browser.request(method, path, headers=more).headers)


@pytest.mark.parametrize(
    ("host", "more"), [("localhost", ""), ("localhost", "Origin: https://evil.example\r\n"), ("evil.example", "")]
)
def test_a_websocket_that_is_refused_gets_the_headers_too(site: Server, host: str, more: str) -> None:
    name, _, port = site.address.partition(":")
    with socket.create_connection((name, int(port)), timeout=10) as connection, connection.makefile("rb") as answer:
        connection.sendall(f"GET /nowhere HTTP/1.1\r\nHost: {host}\r\n{more}{HANDSHAKE}".encode())
        assert re.match(rb"HTTP/1.1 (400|403|404) ", answer.readline())
        check(httpx.Headers(parse_headers(answer).items()))


def test_a_server_that_does_not_read_what_is_refused_says_that_it_hangs_up(site: Server) -> None:
    """A proxy that is not told keeps the connection, sends the next request into it, and loses that."""
    name, _, port = site.address.partition(":")
    form = f"POST /login HTTP/1.1\r\nHost: {site.address}\r\nOrigin: https://evil.example\r\nContent-Length: 9\r\n\r\n"
    with socket.create_connection((name, int(port)), timeout=10) as connection, connection.makefile("rb") as answer:
        connection.sendall(form.encode())  # of which the body never comes
        assert answer.readline().startswith(b"HTTP/1.1 403 ")
        assert parse_headers(answer)["Connection"] == "close"
        assert answer.read()  # until it does


class Inline(HTMLParser):
    """Find what the policy forbids: scripts and styles inside a page, and what comes from elsewhere."""

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
    paths.append(await link(app, "new_log_in"))
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
    """Return what somebody who looks at a cookie can read."""
    yield cookie
    for part in re.split(r"[.~:]", cookie):
        decoded = urlsafe_b64decode(part + "=" * (-len(part) % 4)) if len(part) % 4 != 1 else b""
        yield decoded.decode("latin-1")
        if cookie.startswith("."):
            yield zlib.decompressobj().decompress(decoded).decode() if decoded[:1] == b"x" else ""


@pytest.mark.parametrize("base_url", ["http://localhost", "https://localhost"])
async def test_every_cookie_is_for_us_alone_and_says_nothing_of_the_person(
    settings: dict[str, Any], base_url: str
) -> None:
    async with serving(settings | {"BASE_URL": base_url}) as app:
        await create_user(app, "eve@example.com")
        await execute(app, update(User).values(id=987654320))  # the next one has an id that can be recognised
        client = app.test_client()
        answers = [await register(client, email=ADDRESS)]
        await execute(app, update(User).where(User.id == 987654321).values(name="Augusta King"))
        answers += [
            await client.get("/"),
            await client.post("/logout"),
            await log_in(client, email=ADDRESS, remember="on"),
        ]
        answers += [await change_password(client), await client.get("/"), await client.post("/logout")]
    headers = [header for answer in answers for header in answer.headers.getlist("Set-Cookie")]

    prefix = "__Host-" if base_url.startswith("https") else ""
    given = [next(iter(SimpleCookie(header).values())) for header in headers]
    assert {cookie.key for cookie in given} == {f"{prefix}{name}" for name in ("auth", "session", "device")}
    for cookie in given:
        flags = (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["domain"], bool(cookie["secure"]))
        assert flags == (True, "Lax", "/", "", bool(prefix)), cookie
        shown = " ".join(texts_in(cookie.value)).lower()
        assert not any(word in shown for word in ("lovelace", "example.com", "augusta", "98765432")), cookie
