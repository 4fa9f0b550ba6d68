"""Only our own hosts: whatever else stands in the Host header is refused before anything believes it."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from quart import Quart, Response
from quart.typing import TestClientProtocol
from sqlalchemy import select

from app.models import UserSession, db
from conftest import serving
from people import EMAIL, PASSWORD, create_user, log_in

VECTORS = json.loads((Path(__file__).parent / "vectors/hosts.json").read_text())
GOOD = VECTORS.pop("must_work")
BAD = [host for hosts in VECTORS.values() for host in hosts]


@pytest.fixture
def database_uri(sqlite_template: Path, tmp_path: Path) -> str:
    """Return one database: a host does not depend on its kind."""
    (tmp_path / "app.db").write_bytes(sqlite_template.read_bytes())
    return "sqlite:///app.db"


@pytest.fixture
async def public(settings: dict[str, Any]) -> AsyncIterator[TestClientProtocol]:
    """Visit a site with a name and one further host."""
    more = {"BASE_URL": "https://kit.test", "TRUSTED_HOSTS": ["shop.kit.test", "kit.test:8443"]}
    async with serving(settings | more) as app:
        yield app.test_client()


async def visit(client: TestClientProtocol, *hosts: str, path: str = "/about", **more: Any) -> Response:
    """Send exactly these Host headers."""
    headers = [(b"host", host.encode()) for host in hosts]
    return await client.get(path, scope_base={"headers": headers, **more})


@pytest.mark.parametrize("host", [*GOOD, "shop.kit.test", "SHOP.kit.test:443", "kit.test:8443"])
async def test_our_hosts_are_answered(public: TestClientProtocol, host: str) -> None:
    assert (await visit(public, host)).status_code == 200


@pytest.mark.parametrize("host", [*BAD, "kit.test:80", "shop.kit.test:8443", "localhost", "127.0.0.1", "kit.test:"])
async def test_other_hosts_are_refused(public: TestClientProtocol, host: str) -> None:
    answer = await visit(public, host)

    page = await answer.get_data(as_text=True)
    assert answer.status_code == 400
    assert "We could not read that" in page
    assert not host or host not in page


@pytest.mark.parametrize("hosts", [[], ["kit.test", "kit.test"], ["kit.test", "evil.example"]])
async def test_a_host_is_named_exactly_once(public: TestClientProtocol, hosts: list[str]) -> None:
    assert (await visit(public, *hosts)).status_code == 400


async def test_a_request_of_http_1_0_has_to_name_a_host_too(public: TestClientProtocol) -> None:
    assert (await visit(public, http_version="1.0")).status_code == 400


@pytest.mark.parametrize("path", ["/", "/login", "/static/css/main.css", "/healthz", "/no-such-page"])
async def test_no_page_is_open_to_another_host(public: TestClientProtocol, path: str) -> None:
    assert (await visit(public, "evil.example", path=path)).status_code == 400


async def test_a_program_is_refused_in_json(public: TestClientProtocol) -> None:
    answer = await visit(public, "evil.example", path="/api/")

    assert answer.status_code == 400
    assert (await answer.get_json())["error"]["code"] == "bad_request"


async def test_a_refused_request_changes_nothing(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)
    await log_in(client)

    answer = await client.post("/logout", headers={"host": "evil.example"})

    assert answer.status_code == 400
    assert "Set-Cookie" not in answer.headers
    assert (await client.get("/change")).status_code == 200


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:5000", "127.8.8.8", "[::1]", "[::1]:9"])
async def test_on_loopback_every_loopback_host_will_do(client: TestClientProtocol, host: str) -> None:
    assert (await visit(client, host)).status_code == 200


@pytest.mark.parametrize("host", ["kit.test", "evil.localhost", "localhost.evil.example", "127.1", "[::2]", "10.0.0.1"])
async def test_on_loopback_no_other_host_will_do(client: TestClientProtocol, host: str) -> None:
    assert (await visit(client, host)).status_code == 400


async def test_a_redirect_names_the_public_address(public: TestClientProtocol) -> None:
    answer = await visit(public, "kit.test", path="/api")

    assert (answer.status_code, answer.location) == (308, "https://kit.test/api/")


async def test_a_websocket_of_another_host_is_closed(app: Quart) -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {"type": "websocket", "scheme": "ws", "path": "/", "headers": [(b"host", b"evil.example")]}
    await app(scope, None, send)  # type: ignore[arg-type] # nothing is to be received

    assert sent == [{"type": "websocket.close", "code": 1008}]


async def test_what_a_proxy_forwards_counts_only_behind_a_proxy(settings: dict[str, Any]) -> None:
    forwarded = {"host": "kit.test", "x-forwarded-host": "evil.example"}
    statuses = []
    for proxies in (0, 1):
        more = {"BASE_URL": "https://kit.test", "TRUSTED_PROXIES": proxies}
        async with serving(settings | more) as app:
            statuses.append((await app.test_client().get("/about", headers=forwarded)).status_code)

    assert statuses == [200, 400]


@pytest.mark.parametrize(("proxies", "ip"), [(0, ""), (1, "203.0.113.9"), (2, "198.51.100.7")])
async def test_a_visitors_address_is_the_one_that_our_own_proxies_saw(
    settings: dict[str, Any], proxies: int, ip: str
) -> None:
    async with serving(settings | {"TRUSTED_PROXIES": proxies}) as app:
        await create_user(app)
        form = {"email": EMAIL, "password": PASSWORD}
        forwarded = {"x-forwarded-for": "192.0.2.1, 198.51.100.7, 203.0.113.9"}
        await app.test_client().post("/login", form=form, headers=forwarded)
        async with app.app_context():
            found = await db.read(lambda session: session.scalar(select(UserSession.ip)))

    assert found == ip


async def test_a_host_that_was_refused_is_named_in_the_log_on_one_line(
    client: TestClientProtocol, log: pytest.LogCaptureFixture
) -> None:
    await client.get("/", headers={"Host": "evil\x1bexample"})

    (line,) = [line for line in log.text.splitlines() if "refused" in line]
    assert "BASE_URL" in line
    assert line.isprintable()
