"""The headers of every response, and pages and cookies that keep to them."""

import re
import zlib
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator, Iterator
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import httpx
import pytest
from quart import Quart, abort, template_rendered
from quart.typing import TestClientProtocol
from sqlalchemy import update

from app.auth import access
from app.lib.db import DatabaseUnavailable
from app.models import User
from app.models.user_token import TokenPurpose
from support.actions import change_password, create_user, execute, log_in, page, register
from support.app import MAILBOX, open_to, serving
from support.email_links import join, mailed_link, mailed_links
from support.site_process import running_site

SAME = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
JSON = {"Accept": "application/json"}
CSS = "/static/css/main.css"
EVIL_HOST = {"Host": "evil.example"}
BOB = "bob@example.com"
PERSONAL_EMAIL = "ada.lovelace@example.com"
WEBSOCKET = {"Upgrade": "websocket", "Connection": "Upgrade"}
HANDSHAKE = WEBSOCKET | {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "eA=="}


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

    async def own() -> tuple[str, dict[str, str]]:
        return "", {"content-security-policy": "default-src 'none'"}

    app.add_url_rule("/fail/<int:status>", "fail", fail)
    app.add_url_rule("/own", "own", own)


PLAIN_REQUESTS = {
    200: ["GET /", "HEAD /", "OPTIONS /", "GET /api/", "GET /healthz", "GET /readyz"],
    303: ["GET /change"],
    308: ["GET /api"],
    400: ["GET /%00"],
    404: ["GET /nowhere", "HEAD /nowhere", "GET /api/nowhere", "GET /static/nope.css"],
    405: ["POST /", f"POST {CSS}"],
    408: ["GET /fail/408"],
    414: ["GET " + "/a" * 1200],
    422: ["POST /register"],
    429: ["GET /fail/429"],
    500: ["GET /fail/500"],
    503: ["GET /fail/503"],
}
REQUESTS: list[tuple[int, str, dict[str, str]]] = [
    *((status, request, {}) for status, requests in PLAIN_REQUESTS.items() for request in requests),
    (400, "GET /", EVIL_HOST),
    (400, "GET /api/", EVIL_HOST),
    (401, "GET /change", JSON),
    (403, "POST /login", {"Sec-Fetch-Site": "cross-site"}),
    (403, "POST /static/x", {"Origin": "null"}),
    (413, "POST /login", {"Content-Length": "70000"}),
    (416, f"GET {CSS}", {"Range": "bytes=999999-"}),
    (422, "POST /register", JSON),
    (500, "GET /fail/500", JSON),
]
FILES: list[tuple[int, str, dict[str, str]]] = [
    (200, "GET", {}),
    (200, "HEAD", {}),
    (206, "GET", {"Range": "bytes=0-9"}),
    (304, "GET", {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}),
]


async def test_every_response_is_safe_and_stored_nowhere(app: Quart, subtests: pytest.Subtests) -> None:
    for status, request, headers in REQUESTS:
        with subtests.test(request=request[:50], headers=headers):
            method, path = request.split()
            response = await app.test_client().open(path, method=method, headers=headers)  # type: ignore[call-arg]
            assert response.status_code == status
            check(httpx.Headers(list(response.headers)))
            assert response.headers["Cache-Control"] == "no-store"
            assert {"Cookie", "Accept-Language"} <= set(response.vary)


async def test_a_file_is_safe_and_may_be_stored(client: TestClientProtocol) -> None:
    await register(client)
    for status, method, headers in FILES:
        response = await client.open(CSS, method=method, headers=headers)  # type: ignore[call-arg]
        assert response.status_code == status
        check(httpx.Headers(list(response.headers)))
        assert "no-store" not in response.headers.get("Cache-Control", "")
        assert "Set-Cookie" not in response.headers


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


@pytest.mark.programs
def test_a_real_server_sends_the_same_headers_and_no_server_header(tmp_path: Path) -> None:
    evil_origin = {"Origin": "https://evil.example"}
    with running_site(tmp_path) as site:
        for status, method, path, headers in (
            (200, "GET", "/", {}),
            (200, "HEAD", "/", {}),
            (200, "GET", CSS, {}),
            (400, "GET", "/", EVIL_HOST),
            (403, "POST", "/login", evil_origin),
            (404, "GET", "/nowhere", JSON),
            (404, "GET", "/nowhere", HANDSHAKE),
            (403, "GET", "/nowhere", HANDSHAKE | evil_origin),
            (400, "GET", "/nowhere", HANDSHAKE | EVIL_HOST),
        ):
            response = httpx.request(method, f"{site.url}{path}", headers=headers)
            assert response.status_code == status, headers
            check(response.headers)


class Inline(HTMLParser):
    """Find what the policy forbids: scripts and styles inside a page, and files of other sites."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        inline = tag in ("style", "base", "iframe", "object") or (tag == "script" and "src" not in values)
        forbidden = any(name == "style" or name.startswith("on") for name in values)
        links = [values.get(name) or "/" for name in ("src", "href", "action")]
        allowed = r"(?!javascript:)" if tag == "a" else r"[/#](?!/)"  # a link loads nothing by itself
        if inline or forbidden or any(not re.match(allowed, link) for link in links):
            self.found.append(self.get_starttag_text() or tag)


WITH_A_TARGET = ["/login?next=/account", "/register?next=/x", "/nope"]
UNSENT_FORMS = ["/login", "/register", "/reset", "/confirm"]


async def test_no_page_has_anything_inline_or_foreign(settings: dict[str, Any]) -> None:
    rendered: set[str] = set()

    async def collect(_app: Quart, template: Any, **_: Any) -> None:
        rendered.add(template.name)

    async with serving(settings | {"SECURITY_CONFIRMABLE": True}) as app:
        with template_rendered.connected_to(collect, app):
            client, user = app.test_client(), await join(app)
            await create_user(app, BOB)
            links = {*(await mailed_links(app)).values(), await mailed_link(app, TokenPurpose.CONFIRM, of=BOB)}
            paths = [
                rule.rule for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ()) and not rule.arguments
            ]
            pages = [await page(client, path) for path in (*paths, *WITH_A_TARGET)]
            pages += [await page(user, path) for path in (*paths, *links)]
            others = [await client.post(path) for path in UNSENT_FORMS] + [await user.post("/change")]
            others.append(await client.get(MAILBOX, scope_base={"client": ("127.0.0.1", 5)}))
            pages += [await response.get_data(as_text=True) for response in others]

    assert [Inline(text).found for text in pages] == [[]] * len(pages)
    assert rendered >= {"login/new.html", "account/edit.html", "password_reset/edit.html", "errors/error.html"}


def texts_in(cookie: str) -> Iterator[str]:
    """Yield every text that can be read in a cookie."""
    yield cookie
    for part in re.split(r"[.~:]", cookie):
        decoded = urlsafe_b64decode(part + "=" * (-len(part) % 4)) if len(part) % 4 != 1 else b""
        yield decoded.decode("latin-1")
        if cookie.startswith("."):
            yield zlib.decompressobj().decompress(decoded).decode() if decoded[:1] == b"x" else ""


async def test_no_cookie_contains_anything_personal(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app, "eve@example.com")
    await execute(app, update(User).values(id=987654320))  # the next one has an id that can be recognised
    responses = [await register(client, email=PERSONAL_EMAIL)]
    await execute(app, update(User).where(User.id == 987654321).values(name="Augusta King"))
    responses += [await client.get("/"), await client.post("/logout")]
    responses += [await log_in(client, email=PERSONAL_EMAIL, remember="on"), await change_password(client)]

    headers = [header for response in responses for header in response.headers.getlist("Set-Cookie")]
    cookies = [next(iter(SimpleCookie(header).values())) for header in headers]
    assert {cookie.key for cookie in cookies} == {"auth", "session", "device"}
    for cookie in cookies:
        readable = " ".join(texts_in(cookie.value)).lower()
        assert not any(word in readable for word in ("lovelace", "example.com", "augusta", "98765432")), cookie
