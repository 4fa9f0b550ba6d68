"""A request that another site made a browser send changes nothing."""

from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from quart import Quart, websocket
from quart.testing import WebsocketResponseError
from quart.typing import TestClientProtocol
from werkzeug.datastructures import Headers

from app.middleware import authentication
from app.middleware.public_endpoints import PUBLIC_ENDPOINTS
from app.models import User, UserSession
from conftest import serving
from people import EMAIL, PASSWORD, count, create_user, is_logged_in, log_in

HERE = "http://localhost"
ELSEWHERE = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "nonsense"},
    {"Sec-Fetch-Site": ""},
    {"Sec-Fetch-Site": "cross-site", "Origin": HERE},
    {"Origin": "https://evil.example"},
    {"Origin": "https://localhost"},
    {"Origin": "http://localhost:8080"},
    {"Origin": "http://localhost.evil.example"},
    {"Origin": "http://localhost@evil.example"},
    {"Origin": "http://evil.example#localhost"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://["},
    {"Origin": "localhost"},
]
FROM_US: list[dict[str, str]] = [
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
    {"Origin": HERE},
    {"Origin": "http://LOCALHOST:80"},
    {},
]


@pytest.fixture
def database_uri(sqlite_template: Path, tmp_path: Path) -> str:
    """Return one database: where a request comes from does not depend on its kind."""
    (tmp_path / "app.db").write_bytes(sqlite_template.read_bytes())
    return "sqlite:///app.db"


@pytest.fixture
async def app(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Quart]:
    """Serve an app with a public websocket and one that needs a login."""
    monkeypatch.setattr(authentication, "PUBLIC_ENDPOINTS", PUBLIC_ENDPOINTS | {"open"})
    async with serving(settings, add_websockets) as app:
        yield app


def add_websockets(app: Quart) -> None:
    async def echo() -> None:
        await websocket.send(await websocket.receive())

    app.add_websocket("/open", "open", echo)
    app.add_websocket("/closed", "closed", echo)


@pytest.fixture
async def ada(app: Quart, client: TestClientProtocol) -> TestClientProtocol:
    """Return a browser that is logged in."""
    await create_user(app)
    await log_in(client)
    return client


@pytest.fixture
async def public(settings: dict[str, Any]) -> AsyncIterator[TestClientProtocol]:
    more = {"BASE_URL": "https://www.example.com", "TRUSTED_HOSTS": ["shop.example.com:8443"]}
    async with serving(settings | more) as app:
        yield app.test_client()


@pytest.mark.parametrize("headers", ELSEWHERE, ids=str)
async def test_another_site_cannot_send_our_forms(ada: TestClientProtocol, headers: dict[str, str]) -> None:
    answer = await ada.post("/logout", headers=headers)

    assert answer.status_code == 403
    assert "That is not allowed" in await answer.get_data(as_text=True)
    assert "Set-Cookie" not in answer.headers
    assert await is_logged_in(ada)


@pytest.mark.parametrize("headers", FROM_US, ids=str)
async def test_our_own_pages_and_what_is_no_browser_pass(ada: TestClientProtocol, headers: dict[str, str]) -> None:
    answer = await ada.post("/logout", headers=headers)

    assert answer.status_code == 303
    assert not await is_logged_in(ada)


async def test_another_site_cannot_log_a_visitor_in(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)

    form = {"email": EMAIL, "password": PASSWORD}
    answer = await client.post("/login", form=form, headers={"Sec-Fetch-Site": "cross-site"})

    assert answer.status_code == 403
    assert not await is_logged_in(client)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "PROPFIND", "post"])
async def test_every_method_that_may_change_something_is_asked(client: TestClientProtocol, method: str) -> None:
    headers = {"Origin": "https://evil.example"}
    answer = await client.open("/about", method=method, headers=headers)  # type: ignore[call-arg] # its type forgets a default

    assert answer.status_code == 403


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_a_link_from_another_site_works(client: TestClientProtocol, method: str) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}

    answer = await client.open("/about", method=method, headers=headers)  # type: ignore[call-arg] # its type forgets a default

    assert answer.status_code == 200


@pytest.mark.parametrize("name", ["Sec-Fetch-Site", "Origin"])
async def test_a_header_that_came_twice_is_not_believed(client: TestClientProtocol, name: str) -> None:
    ours = {"Sec-Fetch-Site": "same-origin", "Origin": HERE}[name]

    answer = await client.post("/logout", headers=Headers([(name, ours), (name, ours)]))

    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("www.example.com", "https://www.example.com", 303),
        ("www.example.com", "https://www.example.com:443", 303),
        ("shop.example.com:8443", "https://shop.example.com:8443", 303),
        ("www.example.com", "http://www.example.com", 403),
        ("www.example.com", "https://shop.example.com:8443", 403),
        ("shop.example.com:8443", "https://shop.example.com", 403),
        ("www.example.com", "https://www.example.com.evil.example", 403),
    ],
)
async def test_an_origin_is_held_against_the_host_and_the_public_scheme(
    public: TestClientProtocol, host: str, origin: str, status: int
) -> None:
    answer = await public.post("/logout", headers={"host": host, "Origin": origin})

    assert answer.status_code == status


async def test_a_program_is_refused_in_json(client: TestClientProtocol) -> None:
    answer = await client.post("/api/", headers={"Origin": "https://evil.example"})

    assert answer.status_code == 403
    assert (await answer.get_json())["error"]["code"] == "forbidden"


FORM = b"email=eve%40example.com&password=correct+horse+battery+staple&password_confirm=correct+horse+battery+staple"
CONTENT_TYPES = ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain", "application/json", "", "?"]


async def test_no_form_of_ours_listens_to_another_site_whatever_it_sends(ada: TestClientProtocol) -> None:
    urls, parts = ada.app.url_map.bind("localhost"), {"purpose": "reset", "token": "x", "session_id": 1}
    unsafe = [
        (urls.build(rule.endpoint, {name: parts[name] for name in rule.arguments}), method)
        for rule in ada.app.url_map.iter_rules()
        for method in set(rule.methods or ()) - {"GET", "HEAD", "OPTIONS"}
    ]
    assert {path for path, _ in unsafe} >= {"/register", "/login", "/logout", "/change", "/reset", "/account/delete"}

    for path, method in unsafe:
        for headers, content_type in product(ELSEWHERE, CONTENT_TYPES):
            sent = {"Content-Type": content_type, "Accept": "application/json"} | headers
            answer = await ada.open(path, method=method, headers=sent, data=FORM)  # type: ignore[call-arg]
            assert (answer.status_code, answer.headers.getlist("Set-Cookie")) == (403, []), (path, sent)
    assert await count(ada.app, User) == await count(ada.app, UserSession) == 1


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
async def test_where_it_comes_from_decides_and_not_how_it_is_sent(
    client: TestClientProtocol, content_type: str
) -> None:
    for headers in FROM_US:
        answer = await client.post("/register", headers=headers | {"Content-Type": content_type}, data=b"")
        assert answer.status_code == 422


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://www.example.com"}, 303),
        ({"Sec-Fetch-Site": "same-origin"}, 303),
        ({}, 303),
        ({"Origin": "https://www.example.com", "X-Forwarded-Proto": "http"}, 303),
        ({"Origin": "http://www.example.com"}, 403),
        ({"Origin": "http://10.0.0.5:5000"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "https://evil.example", "X-Forwarded-Host": "evil.example"}, 400),
        ({"Origin": "https://evil.example", "X-Forwarded-Host": "evil.example, www.example.com"}, 403),
        ({"Origin": "https://www.example.com", "X-Forwarded-Host": "www.example.com, evil.example"}, 400),
    ],
)
async def test_behind_a_proxy_the_public_host_counts(
    settings: dict[str, Any], headers: dict[str, str], status: int
) -> None:
    forwarded = {"Host": "10.0.0.5:5000", "X-Forwarded-Host": "www.example.com", "X-Forwarded-Proto": "https"}
    async with serving(settings | {"BASE_URL": "https://www.example.com", "TRUSTED_PROXIES": 1}) as app:
        answer = await app.test_client().post("/logout", headers=forwarded | headers)

    assert answer.status_code == status


async def says(client: TestClientProtocol, path: str, headers: dict[str, str]) -> str | int:
    """Say something to a websocket. Return what comes back, or the status or code of a refusal."""
    try:
        async with client.websocket(path, headers=headers) as connection:
            await connection.send("hello")
            return str(await connection.receive())
    except WebsocketResponseError as refusal:
        return refusal.response.status_code


@pytest.mark.parametrize("headers", FROM_US, ids=str)
async def test_a_websocket_of_our_own_pages_or_of_no_browser_is_open(app: Quart, headers: dict[str, str]) -> None:
    assert await says(app.test_client(), "/open", headers) == "hello"


async def test_a_websocket_of_another_site_or_host_is_refused(app: Quart, ada: TestClientProtocol) -> None:
    for headers in (*ELSEWHERE, {"Host": "evil.example"}, {"Host": "localhost, x"}):
        for path in ("/open", "/closed"):
            assert await says(ada, path, headers) in (1008, 403, 400), headers


async def test_a_websocket_that_needs_a_login_is_refused_without_one(app: Quart, ada: TestClientProtocol) -> None:
    assert await says(app.test_client(), "/closed", {"Origin": HERE}) == 401
    assert await says(ada, "/closed", {"Origin": HERE}) == "hello"
    await ada.post("/logout")
    assert await says(ada, "/closed", {"Origin": HERE}) == 401


async def test_pages_hold_no_token_that_could_expire(client: TestClientProtocol) -> None:
    page = await (await client.get("/login")).get_data(as_text=True)

    assert "csrf" not in page.lower()


@pytest.mark.parametrize(("http_version", "connection"), [("1.1", "close"), ("1.0", "close"), ("2", None)])
async def test_a_refused_form_ends_its_connection_as_its_body_is_not_read(
    client: TestClientProtocol, http_version: str, connection: str | None
) -> None:
    form = {"headers": {"Origin": "https://evil.example", "Content-Length": "3"}, "data": b"a=b"}
    answer = await client.post("/login", **form, http_version=http_version)
    asked = await client.get("/", headers={"Host": "evil.example"}, http_version=http_version)

    assert (answer.status_code, answer.headers.get("Connection")) == (403, connection)
    assert (asked.status_code, asked.headers.get("Connection")) == (400, None)
