"""A request that another site made a browser send changes nothing."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol
from werkzeug.datastructures import Headers

from conftest import serving
from people import EMAIL, PASSWORD, create_user, is_logged_in, log_in

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


async def test_a_websocket_that_another_site_opens_is_closed(app: Quart) -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"origin", b"https://evil.example")]
    scope: Any = {"type": "websocket", "scheme": "ws", "path": "/", "headers": headers}
    await app(scope, None, send)  # type: ignore[arg-type] # nothing is to be received

    assert sent == [{"type": "websocket.close", "code": 1008}]


async def test_pages_hold_no_token_that_could_expire(client: TestClientProtocol) -> None:
    page = await (await client.get("/login")).get_data(as_text=True)

    assert "csrf" not in page.lower()
