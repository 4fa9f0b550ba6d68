"""What is logged: every event on one line, under the request id of its response."""

import asyncio
import contextlib
import itertools
import json
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from quart import Quart, Response
from quart.testing import WebsocketResponseError
from quart.typing import TestClientProtocol
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import public
from app.lib.asgi.request_target import RequestTargetMiddleware
from app.lib.db.retry import RetryTransaction
from app.lib.logs import shown
from app.services import audit_log
from app.services.client import COMMAND_LINE
from support.actions import change_password, create_user, log_in, register, write
from support.app import ROOT, serving
from support.log_lines import CONTROLS, FORGED, INVISIBLE, LINE, WORDS, Log, add_crashing_pages, events_of, names_of
from support.mariadb_server import free_port
from support.server_process import HYPERCORN, running

Step = Callable[[TestClientProtocol], Awaitable[Response]]


@pytest.fixture
async def app(settings: dict[str, Any]) -> AsyncIterator[Quart]:
    async with serving(settings, add_crashing_pages) as app:
        yield app


def logged_in(step: Step) -> Step:
    async def log_in_first(client: TestClientProtocol) -> Response:
        await log_in(client)
        return await step(client)

    return log_in_first


async def log_in_too_often(client: TestClientProtocol) -> Response:
    client.app.config["RATE_LIMIT_LOGINS_PER_IP"] = "1 per hour"
    await log_in(client)
    return await log_in(client)


EVENTS: list[tuple[Step, str, str]] = [
    (lambda c: c.get("/login"), "", "method=GET route=/login status=200 user=-"),
    (lambda c: c.get("/static/favicon.svg", headers={"If-None-Match": "*"}), "", "status=304 user=-"),
    (lambda c: c.get("/static/favicon.svg"), "", "status=200 user=-"),
    (lambda c: c.get("/nowhere"), "", "method=GET route=/nowhere status=404 user=-"),
    (logged_in(lambda c: c.get("/account")), "", "method=GET route=/account status=200 user=1"),
    (lambda c: register(c, email="eve@x.org"), "info    registered user=2", "method=POST route=/register status=303"),
    (log_in, "info    logged_in user=1", "method=POST route=/login status=303"),
    (lambda c: log_in(c, password="x"), "warning authentication_failed user=1", "method=POST route=/login status=422"),
    (lambda c: log_in(c, email="x"), "warning authentication_failed user=-", "method=POST route=/login status=422"),
    (logged_in(lambda c: c.post("/logout")), "info    logged_out user=1", "method=POST route=/logout status=303"),
    (lambda c: c.get("/change"), "info    login_required", "method=GET route=/change status=303 user=-"),
    (lambda c: c.get("/", headers={"Host": "x.org"}), "warning request_rejected status=400 ", "GET route=/ status=400"),
    (lambda c: c.post("/", headers={"Origin": "null"}), "warning request_rejected status=403 ", " route=/ status=403"),
    (lambda c: c.post("/", data=b"x" * 70_000), "warning request_rejected status=413 ", " route=/ status=413"),
    (lambda c: c.get("/a" * 1200), "warning request_rejected status=414 ", "/a/a status=414"),
    (lambda c: c.get("/no_database"), "error   database_unavailable reason=", "route=/no_database status=503 user=-"),
    (lambda c: c.get("/overload"), "error   overloaded reason=", "route=/overload status=503 user=-"),
    (lambda c: c.get("/crash"), "error   unhandled_error", "route=/crash status=500 user=-"),
    (logged_in(change_password), "info    password_changed user=1", "method=POST route=/change status=303"),
    (log_in_too_often, "warning rate_limited limit=logins_per_ip", "method=POST route=/login status=429"),
]


async def test_every_event_is_one_line_under_the_request_id_of_its_response(app: Quart, log: Log) -> None:
    await create_user(app)
    for step, event, request_line in EVENTS:
        *before, last = events_of(log, await step(app.test_client()))

        assert [line[: len(event)] for line in before] == [event] * bool(event)
        assert last.startswith("info    request method=")
        assert request_line in last


async def test_the_log_the_page_the_json_and_the_header_have_one_request_id(
    client: TestClientProtocol, log: Log
) -> None:
    for path in ("/nowhere", "/crash", "/no_database", "/login", "/change"):
        as_json = await (client.post if path == "/login" else client.get)(path, headers={"Accept": "application/json"})
        page = await client.get("/nope" if path in ("/login", "/change") else path)

        assert (await as_json.get_json()).get("request_id") == as_json.headers["X-Request-ID"]
        assert f"<code>{page.headers['X-Request-ID']}</code>" in await page.get_data(as_text=True)
        assert all(events_of(log, response) for response in (as_json, page))
        assert as_json.headers["X-Request-ID"] != page.headers["X-Request-ID"]


async def test_an_event_is_logged_once_its_transaction_is_committed(app: Quart, log: Log) -> None:
    user, attempts = await create_user(app), itertools.count()

    async def fail(session: AsyncSession) -> None:
        await audit_log.record(session, user.id, "deactivated", COMMAND_LINE)
        raise LookupError

    async def succeed_at_the_second_attempt(session: AsyncSession) -> None:
        await audit_log.record(session, user.id, "activated", COMMAND_LINE)
        if next(attempts) == 0:
            raise RetryTransaction

    with pytest.raises(LookupError):
        await write(app, fail)
    await write(app, succeed_at_the_second_attempt)

    assert (log.text.count("deactivated"), log.text.count(" activated ")) == (0, 1)


HEADERS = (b"user-agent", b"x-forwarded-for", b"x-request-id", b"cookie", b"accept", b"origin")


def places_of(text: str) -> list[dict[str, Any]]:
    """Return requests with a text wherever a client can put one: into a header without the characters that end it."""
    value, local = text.encode().translate(None, b"\r\n\0"), (b"host", b"localhost")
    headers = [{"headers": [local, (name, value)]} for name in HEADERS] + [{"headers": [(b"host", value)]}]
    return [{"path": f"/{text}"}, {"method": text}, {"query_string": text.encode()}, *headers]


async def test_no_client_can_forge_or_colour_a_line(app: Quart, log: Log, log_format: str) -> None:
    for chars in (CONTROLS, INVISIBLE):  # characters that no path may contain, and others
        text = "x" + "".join(char + FORGED for char in chars)
        for place in places_of(text):
            await app.test_client().post("/nowhere", scope_base=place)
        await log_in(app.test_client(), email=text, password=text, next=text)

    lines = log.text.splitlines()
    assert len(lines) == len(log.records) > 2 * len(HEADERS)
    assert all(line.isascii() and line.isprintable() for line in lines)
    assert set(names_of(lines, log_format)) == {"request_rejected", "request", "authentication_failed"}


async def test_a_traceback_is_indented_or_part_of_its_line(
    client: TestClientProtocol, log: Log, log_format: str
) -> None:
    await client.get("/crash")

    crashed, *traceback, _request = log.text.splitlines()
    if log_format == "json":
        assert json.loads(crashed)["traceback"].startswith("Traceback (most recent call last):\n")
        assert traceback == []
    else:
        assert LINE.fullmatch(crashed)
        assert len(traceback) > 5
        assert all(line.startswith("    | ") and line.isprintable() for line in traceback)


async def test_a_client_that_disconnected_got_no_status(app: Quart, log: Log) -> None:
    began = asyncio.Event()

    async def hang() -> str:
        began.set()
        await asyncio.sleep(60)
        return "too late"

    app.add_url_rule("/hang", "hang", public(hang))
    async with app.test_client().request("/hang") as connection:
        await connection.send_complete()
        await began.wait()
        await connection.disconnect()
    async with app.test_client().request("/login", method="POST") as connection:
        await connection.send(b"email=")
        await connection.disconnect()

    assert re.findall(r"method=(\w+) route=(\S+) status=- ", log.text) == [("GET", "/hang"), ("POST", "/login")]


async def test_a_crash_in_the_middleware_is_a_500_and_logged(
    client: TestClientProtocol, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(*_: object) -> None:
        raise RuntimeError(WORDS)

    monkeypatch.setattr(RequestTargetMiddleware, "check", crash)
    response = await client.get("/login")

    assert (response.status_code, response.headers["Cache-Control"]) == (500, "no-store")
    assert "default-src" in response.headers["Content-Security-Policy"]
    assert "recognisable" not in await response.get_data(as_text=True)
    crashed, request = events_of(log, response)
    assert crashed.startswith("error   unhandled_error")
    assert "route=/login status=500" in request

    log.clear()
    async with client.websocket("/"):
        pass
    assert re.search(r"error   unhandled_error request=(\w+)\n(    \| .*\n)+.* info    request request=\1 ", log.text)


async def test_a_websocket_that_is_refused_is_logged(app: Quart, log: Log) -> None:
    for host, origin in (("localhost", "https://evil.example"), ("evil.example", ""), ("localhost", "")):
        headers = {"Host": host} | ({"Origin": origin} if origin else {})
        with contextlib.suppress(WebsocketResponseError):
            async with app.test_client().websocket("/nowhere", headers=headers):
                pass

    assert re.findall(r" request_rejected .*status=(\d+)", log.text) == ["403", "400"]
    assert len(re.findall(r" request .* route=/nowhere status=4\d\d ", log.text)) == 3


CRASHING = """import sys, run
from app.auth import public
app = run.app
@app.get("/crash")
@public
async def crash():
    raise RuntimeError("recognisable")
if __name__ == "__main__":
    sys.exit(run.main())
"""


@pytest.mark.programs
@pytest.mark.parametrize("command", [(sys.executable, "-m", "crashing"), (HYPERCORN[0], "crashing:app")])
def test_no_variable_of_flask_shows_a_traceback(
    instance: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    (instance / "crashing.py").write_text(CRASHING)
    monkeypatch.setenv("PYTHONPATH", f"{instance}:{ROOT}", prepend=":")
    monkeypatch.setenv("FLASK_DEBUG", "1")
    address = f"127.0.0.1:{free_port()}"
    with running(instance, "--bind", address, command=command, address=address) as server:
        response = server.get("/crash")
        server.wait_for(lambda: "RuntimeError: recognisable" in server.log.read_text())

        assert (response.status_code, "recognisable" in response.text) == (500, False)
        assert "<h1>Something went wrong</h1>" in response.text
        assert server.log.read_text().count(" started pid=") == 1


def test_a_value_with_a_space_or_an_equals_sign_is_quoted() -> None:
    quoted = {"a b": '"a b"', "a=b": '"a=b"', 'a"b': r'"a\"b"', "a\\b": r'"a\\b"', "ab": "ab"}
    assert {value: shown(value) for value in quoted} == quoted
