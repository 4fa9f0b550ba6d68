"""What is logged: every event on one line, under the request id of its response, and no secret."""

import asyncio
import contextlib
import itertools
import json
import logging
import re
import sys
import warnings
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import httpx
import pytest
from quart import Quart, Response
from quart.testing import WebsocketResponseError
from quart.typing import TestClientProtocol
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import public
from app.lib import logs
from app.lib.asgi.request_target import RequestTargetMiddleware
from app.lib.asgi.types import Message, Receive, Scope, Send
from app.lib.db import DatabaseUnavailable
from app.lib.db.retry import RetryTransaction
from app.lib.logs import JsonLine, shown
from app.lib.passwords.executor import Overloaded
from app.services import audit_log
from app.services.client import COMMAND_LINE
from support.actions import change_password, create_user, log_in, register, write
from support.app import ROOT, SECRET_KEY, serving
from support.commands import logging_restored
from support.mariadb_server import free_port
from support.server_process import HYPERCORN, running

Log = pytest.LogCaptureFixture
Step = Callable[[TestClientProtocol], Awaitable[Response]]

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00 (info   |warning|error  ) ([\w.]+) \S.*")
ADDRESS, IP = "ada.lovelace@example.com", "203.0.113.77"
PASSWORD, NEW_PASSWORD, WRONG = "recognisable-old-pass", "recognisable-new-pass", "recognisable-wrong-pass"
FORGED = "2026-01-01T00:00:00.000+00:00 error   forged request=1"
CONTROLS, INVISIBLE = ["\n", "\r\n", "\x1b[31m", "\x7f", "\0"], ["\x85", "\u2028", "\u202e"]
WORDS = f"recognisable {ADDRESS}" + "".join(char + FORGED for char in [*CONTROLS, *INVISIBLE])
CRASHES: dict[str, Callable[[], Exception]] = {
    "crash": lambda: RuntimeError(WORDS),
    "no_database": lambda: DatabaseUnavailable(WORDS),
    "overload": lambda: Overloaded(99),
}


class BehindProxy:
    """Give every request an IP address that can be recognised, and collect the cookies of all responses."""

    def __init__(self, app: Quart) -> None:
        self.app: Any = app.asgi_app
        self.cookies: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def keep(message: Message) -> None:
            given = [value.decode() for name, value in message.get("headers", ()) if name == b"set-cookie"]
            self.cookies |= {cookie.partition("=")[2].partition(";")[0] for cookie in given} - {""}
            await send(message)

        await self.app({**scope, "client": (IP, 4711)}, receive, keep)


@pytest.fixture
async def app(settings: dict[str, Any]) -> AsyncIterator[Quart]:
    async with serving(settings, add_crashing_pages) as app:
        yield app


@pytest.fixture(params=["text", "json"])
def log_format(request: pytest.FixtureRequest, log: Log) -> str:
    if request.param == "json":
        log.handler.setFormatter(JsonLine())
    return str(request.param)


def add_crashing_pages(app: Quart) -> None:
    def failing(error: Callable[[], Exception]) -> Callable[[], Awaitable[str]]:
        async def fail() -> str:
            raise error()

        return fail

    for name, error in CRASHES.items():
        app.add_url_rule(f"/{name}", name, public(failing(error)))


def events_of(log: Log, response: Response) -> list[str]:
    """Return what was logged under a response's request id, without that id, the time and the duration."""
    number = response.headers["X-Request-ID"]
    lines = [line for line in log.text.splitlines() if f" request={number} " in f"{line} "]
    return [re.sub(rf" (request={number}|ms=\d+)\b", "", line)[30:] for line in lines]


def names_of(lines: list[str], log_format: str) -> list[str]:
    return [json.loads(line)["event"] if log_format == "json" else LINE.sub(r"\2", line) for line in lines]


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


async def leave_traces(client: TestClientProtocol, cookies: set[str]) -> None:
    """Do everything that is logged, and put secrets wherever they can be put."""
    me = {"email": ADDRESS, "password": PASSWORD}
    await register(client, **me, next=f"/about?email={ADDRESS}")
    await change_password(client, password=WRONG, new_password=NEW_PASSWORD)
    await change_password(client, password=PASSWORD, new_password=NEW_PASSWORD)
    await client.post("/logout", form=me)
    await log_in(client, email=ADDRESS, password=WRONG)
    await log_in(client, email=ADDRESS, password=NEW_PASSWORD, remember="on")
    await register(client, **me)
    token = max(cookies, key=len)
    cookies |= {token_urlsafe(32), token_urlsafe(64)}  # as long as the token of a session, and of a mailed link
    hidden = [f"/x/{ADDRESS}", f"/{'x/' * 93}y{ADDRESS}", f"/x/{ADDRESS}".replace("@", "%2540")]
    hidden += [f"/x/{cookie}" for cookie in cookies]
    for path in (*hidden, "/login", "/crash", "/no_database"):
        await client.get(f"{path}?next=/&email={ADDRESS}&password={PASSWORD}&token={token}")
    await client.get("/", headers={"Host": ADDRESS, "Referer": f"http://{IP}/{ADDRESS}", "User-Agent": PASSWORD})
    await client.post("/login", form=me, headers={"Origin": f"https://{ADDRESS}", "X-Forwarded-For": IP})
    client.app.config["RATE_LIMIT_LOGINS_PER_IP"] = "1 per hour"
    await log_in(client, email=ADDRESS, password=NEW_PASSWORD)
    await client.post("/logout")


def secrets_in(cookies: set[str]) -> set[str]:
    """Return what must not be logged: of a cookie, also its parts and the text that it signs."""
    parts = {part for cookie in cookies for part in re.split(r"[.~]", cookie) if len(part) > 12}
    texts = {urlsafe_b64decode(part + "==").decode("latin-1").strip('"') for part in parts}
    return cookies | parts | texts | {ADDRESS, "ada.lovelace", IP, PASSWORD, NEW_PASSWORD, WRONG}


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


@pytest.mark.usefixtures("log_format")
async def test_nothing_secret_is_logged(app: Quart, log: Log) -> None:
    app.asgi_app = proxy = BehindProxy(app)  # type: ignore[method-assign,assignment] # the documented place
    await leave_traces(app.test_client(), proxy.cookies)

    assert len(proxy.cookies) >= 5
    events = {"registered", "password_changed", "logged_in", "authentication_failed", "rate_limited"}
    assert events | {"unhandled_error", "request_rejected"} <= {record.getMessage() for record in log.records}
    secrets = secrets_in(proxy.cookies)
    assert [line for line in log.text.splitlines() if any(secret in line for secret in secrets)] == []


async def test_a_client_is_a_pseudonym_that_only_our_key_can_make(settings: dict[str, Any], log: Log) -> None:
    names: list[str] = []
    for key, ip in [(SECRET_KEY, IP), (SECRET_KEY, IP), (SECRET_KEY, "203.0.113.78"), (SECRET_KEY[::-1], IP)]:
        async with serving(settings | {"SECRET_KEY": key, "RATE_LIMIT_LOGINS_PER_IP": "1 per hour"}) as app:
            for _ in range(2):
                form = {"email": ADDRESS, "password": PASSWORD}
                await app.test_client().post("/login", form=form, scope_base={"client": (ip, 1)})
        names.append(re.findall(r" rate_limited .* client=([0-9a-f]{8}) ", log.text)[-1])

    assert [names.index(name) for name in names] == [0, 0, 2, 3]


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


def test_a_record_of_a_library_is_one_line_without_email_addresses(
    log_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with logging_restored(), warnings.catch_warnings():
        warnings.simplefilter("always")
        logs.set_up(log_format)
        warnings.warn(f"old\n{FORGED}", stacklevel=1)
        logging.getLogger("a.library").info("%s\n%s\x1b[0m", ADDRESS, FORGED)

    printed = capsys.readouterr().err
    assert names_of(printed.splitlines(), log_format) == ["py.warnings", "a.library"]
    assert ADDRESS not in printed
    assert printed.replace("\n", "").isprintable()


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


@pytest.mark.programs
def test_with_json_every_line_of_a_real_server_is_an_object(instance: Path) -> None:
    me = {"email": ADDRESS, "password": PASSWORD}
    with running(instance, LOG_FORMAT="json", TRUSTED_PROXIES="1") as server:
        with httpx.Client(base_url=f"http://{server.address}", headers={"X-Forwarded-For": IP}) as browser:
            responses = [
                browser.post("/register", data=me | {"password_confirm": PASSWORD}),
                browser.post("/login", data=me),
                browser.post("/login", data=me | {"password": WRONG}),
                browser.get("/a%0a%1b%E2%80%AE%7F", headers={"User-Agent": ADDRESS}),
                browser.get("/", headers={"Host": "evil.example"}),
            ]
        assert server.end() == 0
        lines = list(map(json.loads, server.log.read_text().splitlines()))

    wanted = ["registered", "logged_in", "authentication_failed", "request_rejected", "request_rejected"]
    for response, event in zip(responses, wanted, strict=True):
        under = [line["event"] for line in lines if line.get("request") == response.headers["X-Request-ID"]]
        assert under == [event, "request"]
    assert {"started", "hypercorn.error", "stopped"} <= {line["event"] for line in lines}
    secrets = secrets_in({value for response in responses for value in response.cookies.values()})
    assert [line for line in lines if any(secret in str(line) for secret in secrets)] == []


def test_a_value_with_a_space_or_an_equals_sign_is_quoted() -> None:
    quoted = {"a b": '"a b"', "a=b": '"a=b"', 'a"b': r'"a\"b"', "a\\b": r'"a\\b"', "ab": "ab"}
    assert {value: shown(value) for value in quoted} == quoted
