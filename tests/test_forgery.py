"""A request that another site made a browser send changes nothing."""

from collections.abc import AsyncIterator
from itertools import product
from typing import Any

import pytest
from quart import Quart, websocket
from quart.testing import WebsocketResponseError
from quart.typing import TestClientProtocol
from werkzeug.datastructures import Headers

from app.auth import access
from app.lib.asgi.csrf import cross_origin_allowed
from app.models import User, UserSession
from support.actions import EMAIL, PASSWORD, count, create_user, enter, is_logged_in
from support.app import open_to, serving

OWN_ORIGIN = "http://localhost"
OTHER_ORIGINS = [
    "https://evil.example",
    "https://localhost",
    "http://localhost:8080",
    "http://localhost.evil.example",
    "http://localhost@evil.example",
    "http://evil.example#localhost",
    *("null", "", "http://[", "localhost"),
]
OTHER_SITES = [
    *({"Sec-Fetch-Site": site} for site in ("cross-site", "same-site", "nonsense", "")),
    *({"Origin": origin} for origin in OTHER_ORIGINS),
    {"Sec-Fetch-Site": "cross-site", "Origin": OWN_ORIGIN},
]
OWN_PAGES: list[dict[str, str]] = [
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
    {"Origin": OWN_ORIGIN},
    {"Origin": "http://LOCALHOST:80"},
    {},  # no browser
]
FORM = b"email=eve%40example.com&password=correct+horse+battery+staple&password_confirm=correct+horse+battery+staple"
CONTENT_TYPES = ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain", "application/json", "", "?"]


@pytest.fixture
async def app(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Quart]:
    """Serve an app with a public websocket, one that needs a login, and a form for other sites."""
    monkeypatch.setattr(access, "is_public", open_to({"open", "callback"}))
    async with serving(settings, add_routes) as app:
        yield app


def add_routes(app: Quart) -> None:
    async def echo() -> None:
        await websocket.send(await websocket.receive())

    @app.post("/callback")
    @cross_origin_allowed
    async def callback() -> str:
        return ""

    app.add_websocket("/open", "open", echo)
    app.add_websocket("/closed", "closed", echo)


@pytest.fixture
async def ada(app: Quart) -> TestClientProtocol:
    await create_user(app)
    return await enter(app)


async def test_another_site_cannot_send_our_forms(ada: TestClientProtocol) -> None:
    urls, parts = ada.app.url_map.bind("localhost"), {"purpose": "reset", "token": "x"}
    unsafe = [
        (urls.build(rule.endpoint, {name: parts.get(name, 1) for name in rule.arguments}), method)
        for rule in ada.app.url_map.iter_rules()
        if rule.endpoint != "callback"
        for method in set(rule.methods or ()) - {"GET", "HEAD", "OPTIONS"}
    ]
    assert {path for path, _ in unsafe} >= {"/register", "/login", "/logout", "/change", "/reset", "/account/delete"}

    cases = [(path, method, OTHER_SITES[0], CONTENT_TYPES[0]) for path, method in unsafe]
    cases += [("/logout", "POST", *pair) for pair in product(OTHER_SITES, CONTENT_TYPES)]
    for path, method, headers, content_type in cases:
        sent = {"Content-Type": content_type, "Accept": "application/json"} | headers
        response = await ada.open(path, method=method, headers=sent, data=FORM)  # type: ignore[call-arg]
        assert (response.status_code, response.headers.getlist("Set-Cookie")) == (403, []), (path, sent)
        assert (await response.get_json())["error"]["code"] == "forbidden"
    assert await is_logged_in(ada)
    assert await count(ada.app, User) == await count(ada.app, UserSession) == 1


async def test_another_site_cannot_log_a_user_in(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)

    form = {"email": EMAIL, "password": PASSWORD}
    response = await client.post("/login", form=form, headers=OTHER_SITES[0])

    assert (response.status_code, response.headers.getlist("Set-Cookie")) == (403, [])
    assert "Access denied" in await response.get_data(as_text=True)
    assert not await is_logged_in(client)


async def test_our_own_pages_and_clients_that_are_no_browser_send_forms(client: TestClientProtocol) -> None:
    for headers, content_type in product(OWN_PAGES, CONTENT_TYPES):
        sent = headers | {"Content-Type": content_type}
        assert (await client.post("/logout", headers=sent, data=b"")).status_code == 303, sent


async def test_links_of_other_sites_work_and_every_unsafe_method_is_refused(client: TestClientProtocol) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    statuses = dict.fromkeys(["GET", "HEAD", "OPTIONS"], 200)
    statuses |= dict.fromkeys(["POST", "PUT", "PATCH", "DELETE", "PROPFIND", "post"], 403)

    for method, status in statuses.items():
        response = await client.open("/login", method=method, headers=headers)  # type: ignore[call-arg]
        assert response.status_code == status, method
    assert (await client.post("/callback", headers=headers)).status_code == 200


async def test_a_header_that_is_sent_twice_is_not_believed(client: TestClientProtocol) -> None:
    for pair in ("Sec-Fetch-Site", "same-origin"), ("Origin", OWN_ORIGIN):
        assert (await client.post("/logout", headers=Headers([pair, pair]))).status_code == 403, pair


async def test_the_origin_is_compared_with_the_public_host_and_scheme(settings: dict[str, Any]) -> None:
    public = {"BASE_URL": "https://www.example.com", "TRUSTED_HOSTS": ["shop.example.com:8443"], "TRUSTED_PROXIES": 1}
    async with serving(settings | public) as app:
        for host, origin, status in (
            ("www.example.com", "https://www.example.com", 303),
            ("www.example.com", "https://www.example.com:443", 303),
            ("shop.example.com:8443", "https://shop.example.com:8443", 303),
            ("www.example.com", "http://www.example.com", 403),
            ("www.example.com", "http://10.0.0.5:5000", 403),
            ("www.example.com", "https://shop.example.com:8443", 403),
            ("shop.example.com:8443", "https://shop.example.com", 403),
            ("www.example.com", "https://www.example.com.evil.example", 403),
            ("evil.example", "https://evil.example", 400),
            ("www.example.com, evil.example", "https://www.example.com", 400),
        ):
            headers = {"Host": "10.0.0.5:5000", "X-Forwarded-Host": host, "X-Forwarded-Proto": "http", "Origin": origin}
            response = await app.test_client().post("/logout", headers=headers)
            assert response.status_code == status, (host, origin)


async def echo_of(client: TestClientProtocol, path: str, headers: dict[str, str]) -> str | int:
    """Send to a websocket. Return what it sends back, or the status or code with which it is refused."""
    try:
        async with client.websocket(path, headers=headers) as connection:
            await connection.send("hello")
            return str(await connection.receive())
    except WebsocketResponseError as refusal:
        return refusal.response.status_code


async def test_a_websocket_of_another_site_or_host_is_refused(app: Quart, ada: TestClientProtocol) -> None:
    for headers in OWN_PAGES:
        assert await echo_of(app.test_client(), "/open", headers) == "hello", headers
    for headers in (*OTHER_SITES, {"Host": "evil.example"}, {"Host": "localhost, x"}):
        for path in ("/open", "/closed"):
            assert await echo_of(ada, path, headers) in (403, 400), headers


async def test_a_websocket_that_needs_a_login_is_refused_without_one(app: Quart, ada: TestClientProtocol) -> None:
    assert await echo_of(app.test_client(), "/closed", {}) == 401
    assert await echo_of(ada, "/closed", {}) == "hello"
    await ada.post("/logout")
    assert await echo_of(ada, "/closed", {}) == 401


async def test_a_refused_form_ends_its_connection_as_its_body_is_not_read(client: TestClientProtocol) -> None:
    form = {"headers": {"Origin": "https://evil.example", "Content-Length": "3"}, "data": b"a=b"}
    for http_version, connection in ("1.1", "close"), ("1.0", "close"), ("2", None):
        with_body = await client.post("/login", **form, http_version=http_version)
        without = await client.get("/", headers={"Host": "evil.example"}, http_version=http_version)
        assert (with_body.status_code, with_body.headers.get("Connection")) == (403, connection)
        assert (without.status_code, without.headers.get("Connection")) == (400, None)
