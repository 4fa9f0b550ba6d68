"""What is logged: every event on one line, under the number that its answer shows, and nothing that is a secret."""

import asyncio
import contextlib
import json
import re
import shutil
import subprocess
import sys
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from quart import Quart, Response
from quart.testing import WebsocketResponseError
from quart.typing import TestClientProtocol

from app.events import JsonLine
from app.middleware import authentication
from app.middleware.asgi import Message, Receive, Scope, Send
from app.middleware.public_endpoints import PUBLIC_ENDPOINTS
from app.middleware.targets import TargetGuard
from app.models.core import DatabaseUnavailable
from app.services.hashing import Overloaded
from conftest import ROOT, serving
from mariadb_server import free_port
from people import change_password, create_user, log_in, register
from test_run import HYPERCORN, refusal, running

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


class FromAfar:
    """Give every request an address that can be recognised, and keep every cookie that is given."""

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
def instance(sqlite_template: Path, tmp_path: Path) -> Path:
    shutil.copy(sqlite_template, tmp_path)
    return tmp_path


@pytest.fixture
def database_uri(instance: Path) -> str:
    """Return one database: what is logged does not depend on its kind."""
    return "sqlite:///app.db"


@pytest.fixture
def settings(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    public = PUBLIC_ENDPOINTS | set(CRASHES) | {"hang"}
    monkeypatch.setattr(authentication, "PUBLIC_ENDPOINTS", public)
    return settings


@pytest.fixture
async def app(settings: dict[str, Any]) -> AsyncIterator[Quart]:
    async with serving(settings, add_pages_that_go_wrong) as app:
        yield app


@pytest.fixture(params=["text", "json"])
def log_format(request: pytest.FixtureRequest, log: Log) -> str:
    if request.param == "json":
        log.handler.setFormatter(JsonLine())
    return str(request.param)


def add_pages_that_go_wrong(app: Quart) -> None:
    def failing(error: Callable[[], Exception]) -> Callable[[], Awaitable[str]]:
        async def fail() -> str:
            raise error()

        return fail

    for name, error in CRASHES.items():
        app.add_url_rule(f"/{name}", name, failing(error))


def events_of(log: Log, answer: Response) -> list[str]:
    """Return what was logged under the number of an answer, without that number, the time and how long it took."""
    number = answer.headers["X-Request-ID"]
    lines = [line for line in log.text.splitlines() if f" request={number} " in f"{line} "]
    return [re.sub(rf" (request={number}|ms=\d+)\b", "", line)[30:] for line in lines]


def logged_in(step: Step) -> Step:
    async def log_in_first(client: TestClientProtocol) -> Response:
        await log_in(client)
        return await step(client)

    return log_in_first


async def log_in_too_often(client: TestClientProtocol) -> Response:
    client.app.config["THROTTLE_LOG_INS_PER_ADDRESS"] = "1 per hour"
    await log_in(client)
    return await log_in(client)


EVENTS: list[tuple[Step, str, str]] = [
    (lambda c: c.get("/about"), "", "method=GET route=/about status=200 user=-"),
    (lambda c: c.get("/nowhere"), "", "method=GET route=/nowhere status=404 user=-"),
    (logged_in(lambda c: c.get("/about")), "", "method=GET route=/about status=200 user=1"),
    (lambda c: register(c, email="eve@x.org"), "info    signed_up user=2", "method=POST route=/register status=303"),
    (log_in, "info    logged_in user=1", "method=POST route=/login status=303"),
    (lambda c: log_in(c, password="x"), "warning password_refused user=1", "method=POST route=/login status=422"),
    (lambda c: log_in(c, email="x"), "warning password_refused user=-", "method=POST route=/login status=422"),
    (logged_in(change_password), "info    password_changed user=1", "method=POST route=/change status=303"),
    (logged_in(lambda c: c.post("/logout")), "info    logged_out user=1", "method=POST route=/logout status=303"),
    (lambda c: c.get("/change"), "info    log_in_needed", "method=GET route=/change status=303 user=-"),
    (log_in_too_often, "warning throttled what=log_ins_per_address", "method=POST route=/login status=429"),
    (lambda c: c.get("/", headers={"Host": "x.org"}), "warning refused status=400 ", "method=GET route=/ status=400"),
    (lambda c: c.post("/login", headers={"Origin": "null"}), "warning refused status=403 ", " route=/login status=403"),
    (lambda c: c.post("/", data=b"x" * 70_000), "warning refused status=413 ", " route=/ status=413"),
    (lambda c: c.get("/a" * 1200), "warning refused status=414 ", "/a/a status=414"),
    (lambda c: c.get("/no_database"), "error   database_unavailable why=", "route=/no_database status=503 user=-"),
    (lambda c: c.get("/overload"), "error   overloaded why=", "route=/overload status=503 user=-"),
    (lambda c: c.get("/crash"), "error   crashed", "route=/crash status=500 user=-"),
]


@pytest.mark.parametrize(("step", "event", "request_line"), EVENTS)
async def test_every_event_is_one_line_under_the_number_of_its_answer(
    app: Quart, log: Log, step: Step, event: str, request_line: str
) -> None:
    await create_user(app)

    *before, last = events_of(log, await step(app.test_client()))
    assert [line[: len(event)] for line in before] == [event] * bool(event)
    assert last.startswith("info    request method=")
    assert request_line in last


async def test_a_start_and_a_stop_are_lines(settings: dict[str, Any], log: Log) -> None:
    async with serving(settings):
        pass

    lines = [LINE.fullmatch(line) for line in log.text.splitlines()]
    assert [line and line[2] for line in lines] == ["started", "mail_stays", "stopped"]


@pytest.mark.parametrize("path", ["/nowhere", "/crash", "/no_database", "/login", "/change"])
async def test_the_log_the_page_the_json_and_the_header_have_one_number(
    client: TestClientProtocol, log: Log, path: str
) -> None:
    told = await (client.post if path == "/login" else client.get)(path, headers={"Accept": "application/json"})
    shown = await client.get("/nope" if path in ("/login", "/change") else path)

    assert (await told.get_json()).get("request_id") == told.headers["X-Request-ID"]
    assert f"<code>{shown.headers['X-Request-ID']}</code>" in await shown.get_data(as_text=True)
    assert events_of(log, told)
    assert events_of(log, shown)
    assert told.headers["X-Request-ID"] != shown.headers["X-Request-ID"]


async def live_a_life(client: TestClientProtocol, cookies: set[str]) -> None:
    """Do whatever leaves a trace, and put what is secret wherever it can be put."""
    me = {"email": ADDRESS, "password": PASSWORD}
    await register(client, **me, next=f"/about?email={ADDRESS}")
    await change_password(client, password=WRONG, new_password=NEW_PASSWORD)
    await change_password(client, password=PASSWORD, new_password=NEW_PASSWORD)
    await client.post("/logout", form=me)
    await log_in(client, email=ADDRESS, password=WRONG)
    await log_in(client, email=ADDRESS, password=NEW_PASSWORD, remember="on")
    await register(client, **me)
    token = max(cookies, key=len)
    hidden = [f"/x/{ADDRESS}", f"/x/{token}", f"/{'x/' * 93}y{ADDRESS}", f"/x/{ADDRESS}".replace("@", "%2540")]
    for path in (*hidden, "/login", "/crash", "/no_database"):
        await client.get(f"{path}?next=/&email={ADDRESS}&password={PASSWORD}&token={token}")
    await client.get("/", headers={"Host": ADDRESS, "Referer": f"http://{IP}/{ADDRESS}", "User-Agent": PASSWORD})
    await client.post("/login", form=me, headers={"Origin": f"https://{ADDRESS}", "X-Forwarded-For": IP})
    client.app.config["THROTTLE_LOG_INS_PER_ADDRESS"] = "1 per hour"
    await log_in(client, email=ADDRESS, password=NEW_PASSWORD)
    await client.post("/logout")


def secrets_in(cookies: set[str]) -> set[str]:
    """Return what nobody may read: of a cookie, also its parts and the text that it signs."""
    parts = {part for cookie in cookies for part in re.split(r"[.~]", cookie) if len(part) > 12}
    texts = {urlsafe_b64decode(part + "==").decode("latin-1").strip('"') for part in parts}
    return cookies | parts | texts | {ADDRESS, "ada.lovelace", IP, PASSWORD, NEW_PASSWORD, WRONG}


@pytest.mark.usefixtures("log_format")
async def test_nothing_secret_is_logged(app: Quart, log: Log) -> None:
    app.asgi_app = wall = FromAfar(app)  # type: ignore[method-assign,assignment] # the documented place
    await live_a_life(app.test_client(), wall.cookies)

    assert len(wall.cookies) >= 5
    for event in ("signed_up", "password_changed", "logged_in", "password_refused", "throttled", "crashed", "refused"):
        assert event in log.text
    secrets = secrets_in(wall.cookies)
    assert [line for line in log.text.splitlines() if any(secret in line for secret in secrets)] == []


async def test_a_client_is_a_pseudonym_that_only_our_key_can_make(settings: dict[str, Any], log: Log) -> None:
    names: list[str] = []
    form = {"email": "x@example.com", "password": PASSWORD, "password_confirm": PASSWORD}
    for key, ip in [("a" * 40, IP), ("a" * 40, IP), ("a" * 40, "203.0.113.78"), ("b" * 40, IP)]:
        async with serving(settings | {"SECRET_KEY": key, "THROTTLE_SIGN_UPS_PER_ADDRESS": "1 per hour"}) as app:
            for _ in range(2):
                await app.test_client().post("/register", form=form, scope_base={"client": (ip, 1)})
        names.append(re.findall(r" throttled .* client=([0-9a-f]{8}) ", log.text)[-1])

    assert names[0] == names[1]
    assert len(set(names)) == 3


def header(name: bytes) -> Callable[[str], dict[str, Any]]:
    """Put a text into a header, but for the line breaks, which end one."""

    def place(text: str) -> dict[str, Any]:
        value = text.encode().translate(None, b"\r\n\0")
        return {"headers": [(name, value)] if name == b"host" else [(b"host", b"localhost"), (name, value)]}

    return place


OUTSIDE: list[Callable[[str], dict[str, Any]]] = [
    lambda text: {"path": f"/{text}"},
    lambda text: {"method": text},
    lambda text: {"query_string": text.encode()},
    *map(header, (b"host", b"user-agent", b"x-forwarded-for", b"x-request-id", b"cookie", b"accept", b"origin")),
]


async def test_nobody_outside_can_forge_or_colour_a_line(app: Quart, log: Log, log_format: str) -> None:
    for chars in (CONTROLS, INVISIBLE):  # what no path may hold, and what one may
        text = "x" + "".join(char + FORGED for char in chars)
        for place in OUTSIDE:
            await app.test_client().post("/nowhere", scope_base=place(text))
        await log_in(app.test_client(), email=text, password=text, next=text)

    lines = log.text.splitlines()
    assert len(lines) == len(log.records) > 2 * len(OUTSIDE)
    assert all(line.isascii() and line.isprintable() for line in lines)
    found = [json.loads(line)["event"] if log_format == "json" else LINE.sub(r"\2", line) for line in lines]
    assert set(found) == {"refused", "request", "password_refused"}


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


def test_what_a_library_says_is_a_line_too(log_format: str) -> None:
    code = f"""if True:
        import logging, warnings
        from app import events
        events.set_up({log_format!r})
        warnings.warn("old\\n{FORGED}")
        logging.getLogger("a.library").info("%s\\n%s\\x1b[0m", "{ADDRESS}", "{FORGED}")"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    lines = done.stderr.splitlines()
    read = [json.loads(line)["event"] if log_format == "json" else LINE.sub(r"\2", line) for line in lines]
    assert read == ["py.warnings", "a.library"]
    assert ADDRESS not in done.stderr
    assert all(line.isprintable() for line in lines)


async def test_a_client_that_went_away_got_no_status(app: Quart, log: Log) -> None:
    began = asyncio.Event()

    async def hang() -> str:
        began.set()
        await asyncio.sleep(60)
        return "too late"

    app.add_url_rule("/hang", "hang", hang)
    async with app.test_client().request("/hang") as connection:
        await connection.send_complete()
        await began.wait()
        await connection.disconnect()
    async with app.test_client().request("/login", method="POST") as connection:
        await connection.send(b"email=")
        await connection.disconnect()

    assert re.findall(r"method=(\w+) route=(\S+) status=- ", log.text) == [("GET", "/hang"), ("POST", "/login")]


@pytest.fixture
def broken_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    async def crash(*_: object) -> None:
        raise RuntimeError(WORDS)

    monkeypatch.setattr(TargetGuard, "check", crash)


@pytest.mark.usefixtures("broken_guard")
async def test_a_crash_in_front_of_quart_is_a_500_and_logged(client: TestClientProtocol, log: Log) -> None:
    answer = await client.get("/about")

    assert (answer.status_code, answer.headers["Cache-Control"]) == (500, "no-store")
    assert "default-src" in answer.headers["Content-Security-Policy"]
    assert "recognisable" not in await answer.get_data(as_text=True)
    crashed, request = events_of(log, answer)
    assert crashed.startswith("error   crashed")
    assert "route=/about status=500" in request


@pytest.mark.usefixtures("broken_guard")
async def test_a_crash_in_front_of_a_websocket_is_logged(app: Quart, log: Log) -> None:
    async with app.test_client().websocket("/"):
        pass

    assert re.search(r"error   crashed request=(\w+)\n(    \| .*\n)+.* info    request request=\1 ", log.text)


async def test_a_websocket_that_is_refused_is_logged(app: Quart, log: Log) -> None:
    for host, origin in (("localhost", "https://evil.example"), ("evil.example", ""), ("localhost", "")):
        headers = {"Host": host} | ({"Origin": origin} if origin else {})
        with contextlib.suppress(WebsocketResponseError):
            async with app.test_client().websocket("/nowhere", headers=headers):
                pass

    assert re.findall(r" refused .*status=(\d+)", log.text) == ["403", "400"]
    assert len(re.findall(r" request .* route=/nowhere status=4\d\d ", log.text)) == 3


@pytest.mark.parametrize("debug", [False, True])
async def test_only_our_own_setting_shows_a_traceback(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch, *, debug: bool
) -> None:
    monkeypatch.setenv("FLASK_DEBUG", "1")
    async with serving(settings | ({"DEBUG": True} if debug else {})) as app:
        add_pages_that_go_wrong(app)
        answer = await app.test_client().get("/crash")

    assert answer.status_code == 500
    assert ("recognisable" in await answer.get_data(as_text=True)) is debug


CRASHING = """import sys, run
from app.middleware.public_endpoints import PUBLIC_ENDPOINTS
PUBLIC_ENDPOINTS.add("crash")
app = run.app
@app.get("/crash")
async def crash():
    raise RuntimeError("recognisable")
if __name__ == "__main__":
    sys.exit(run.main())
"""


@pytest.mark.parametrize("command", [(sys.executable, "-m", "crashing"), (HYPERCORN[0], "crashing:app")])
def test_no_variable_of_flask_shows_a_traceback(
    instance: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    (instance / "crashing.py").write_text(CRASHING)
    monkeypatch.setenv("PYTHONPATH", f"{instance}:{ROOT}", prepend=":")
    monkeypatch.setenv("FLASK_DEBUG", "1")
    address = f"127.0.0.1:{free_port()}"
    with running(instance, "--bind", address, command=command, address=address) as server:
        answer = server.get("/crash")
        server.wait_for(lambda: "RuntimeError: recognisable" in server.log.read_text())

        assert (answer.status_code, "recognisable" in answer.text) == (500, False)
        assert "<h1>Something went wrong</h1>" in answer.text
        assert server.log.read_text().count(" started pid=") == 1


def test_with_json_every_line_of_a_real_server_is_an_object(instance: Path) -> None:
    me = {"email": ADDRESS, "password": PASSWORD}
    with running(instance, LOG_FORMAT="json", TRUSTED_PROXIES="1") as server:
        with httpx.Client(base_url=f"http://{server.address}", headers={"X-Forwarded-For": IP}) as browser:
            answers = [
                browser.post("/register", data=me | {"password_confirm": PASSWORD}),
                browser.post("/login", data=me),
                browser.post("/login", data=me | {"password": WRONG}),
                browser.get("/a%0a%1b%E2%80%AE%7F", headers={"User-Agent": ADDRESS}),
                browser.get("/", headers={"Host": "evil.example"}),
            ]
        assert server.end() == 0
        lines = list(map(json.loads, server.log.read_text().splitlines()))

    wanted = ["signed_up", "logged_in", "password_refused", "refused", "refused"]
    for answer, event in zip(answers, wanted, strict=True):
        under = [line["event"] for line in lines if line.get("request") == answer.headers["X-Request-ID"]]
        assert under == [event, "request"]
    assert {"started", "hypercorn.error", "stopped"} <= {line["event"] for line in lines}
    secrets = secrets_in({value for answer in answers for value in answer.cookies.values()})
    assert [line for line in lines if any(secret in str(line) for secret in secrets)] == []


def test_a_format_that_is_none_stops_the_start(instance: Path) -> None:
    assert refusal(instance, LOG_FORMAT="xml") == "Cannot start: LOG_FORMAT is 'xml'; it is one of text, json"
