"""Only the site's own hosts: any other Host header is refused before anything uses it."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from quart import Quart, Response
from quart.typing import TestClientProtocol
from sqlalchemy import select

from app.models import UserEvent, UserSession
from support.actions import EMAIL, PASSWORD, create_user, is_logged_in, log_in, scalars
from support.app import serving

VECTORS = json.loads((Path(__file__).parent / "vectors/hosts.json").read_text())
GOOD = [*VECTORS.pop("must_work"), "shop.kit.test", "SHOP.kit.test:443", "kit.test:8443"]
BAD = [host for hosts in VECTORS.values() for host in hosts]
BAD += ["kit.test:80", "shop.kit.test:8443", "localhost", "127.0.0.1", "kit.test:"]
EVIL_HOST = {"Host": "evil.example"}
LOOPBACK = ["localhost", "LOCALHOST:8000", "127.0.0.1:5000", "127.8.8.8", "[::1]", "[::1]:9"]
NOT_LOOPBACK = ["kit.test", "evil.localhost", "localhost.evil.example", "127.1", "[::2]", "10.0.0.1"]


@pytest.fixture
async def public(settings: dict[str, Any]) -> AsyncIterator[TestClientProtocol]:
    """Return a client of a site with a public host and two more."""
    more = {"BASE_URL": "https://kit.test", "TRUSTED_HOSTS": ["shop.kit.test", "kit.test:8443"]}
    async with serving(settings | more) as app:
        yield app.test_client()


async def get(client: TestClientProtocol, *hosts: str, path: str = "/login", **more: Any) -> Response:
    """Send exactly these Host headers."""
    headers = [(b"host", host.encode()) for host in hosts]
    return await client.get(path, scope_base={"headers": headers, **more})


async def test_the_hosts_of_the_site_are_served(public: TestClientProtocol, client: TestClientProtocol) -> None:
    served = [(await get(public, host)).status_code for host in GOOD]
    served_on_loopback = [(await get(client, host)).status_code for host in LOOPBACK]

    assert {*served, *served_on_loopback} == {200}
    assert (await get(public, "kit.test", path="/api")).location == "https://kit.test/api/"


async def test_other_hosts_are_refused(
    public: TestClientProtocol, client: TestClientProtocol, subtests: pytest.Subtests
) -> None:
    for site, host in [(public, host) for host in BAD] + [(client, host) for host in NOT_LOOPBACK]:
        with subtests.test(host=host):
            response = await get(site, host)
            page = await response.get_data(as_text=True)
            assert response.status_code == 400
            assert "Bad request" in page
            assert not host or host not in page


async def test_a_request_names_its_host_exactly_once(public: TestClientProtocol) -> None:
    for hosts in [], ["kit.test", "kit.test"], ["kit.test", "evil.example"]:
        assert (await get(public, *hosts)).status_code == 400, hosts
    assert (await get(public, http_version="1.0")).status_code == 400


async def test_no_path_is_served_on_another_host_and_nothing_changes(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)
    await log_in(client)
    for path in "/", "/login", "/static/css/main.css", "/healthz", "/no-such-page", "/api/":
        assert (await client.get(path, headers=EVIL_HOST)).status_code == 400, path

    as_json = await client.get("/api/", headers=EVIL_HOST)
    assert (await as_json.get_json())["error"]["code"] == "bad_request"
    response = await client.post("/logout", headers=EVIL_HOST)
    assert (response.status_code, response.headers.getlist("Set-Cookie")) == (400, [])
    assert await is_logged_in(client)


@pytest.mark.parametrize(("proxies", "status", "ip"), [(0, 200, ""), (1, 400, "203.0.113.9"), (2, 400, "198.51.100.7")])
async def test_forwarded_headers_count_only_behind_a_proxy(
    settings: dict[str, Any], proxies: int, status: int, ip: str
) -> None:
    forwarded_for = {"x-forwarded-for": "192.0.2.1, 198.51.100.7, 203.0.113.9"}
    evil = {"x-forwarded-host": ", ".join(["evil.example"] * max(proxies, 1))}
    async with serving(settings | {"TRUSTED_PROXIES": proxies}) as app:
        client = app.test_client()
        assert (await client.get("/login", headers=evil)).status_code == status
        await create_user(app)
        await client.post("/login", form={"email": EMAIL, "password": PASSWORD}, headers=forwarded_for)
        assert await scalars(app, select(UserSession.ip)) == [ip]


async def test_the_log_names_a_refused_host_on_one_line(
    client: TestClientProtocol, log: pytest.LogCaptureFixture
) -> None:
    await client.get("/", headers={"Host": "evil\x1bexample"})

    (line,) = [line for line in log.text.splitlines() if "request_rejected" in line]
    assert "BASE_URL" in line
    assert line.isprintable()


async def test_the_forwarded_header_names_no_client_behind_a_proxy(settings: dict[str, Any]) -> None:
    async with serving(settings | {"TRUSTED_PROXIES": 1}) as app:
        await create_user(app)
        headers = {"Forwarded": "for=192.0.2.66;host=evil.example", "X-Forwarded-For": "192.0.2.1"}
        form = {"email": "ada@example.com", "password": PASSWORD}
        assert (await app.test_client().post("/login", form=form, headers=headers)).status_code == 303
        assert set(await scalars(app, select(UserEvent.ip))) == {"192.0.2.1"}
