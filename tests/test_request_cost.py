"""What a request costs: each way to the database and back, and each function that runs for it, is counted."""

import asyncio
import inspect
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol

from app import events
from app.models import mysql
from people import create_user, log_in
from wire import Wire, kind

FILE = "/static/css/main.css"
WHO = "SELECT user_session"
BEFORE = [
    "app.middleware.static_files.CookieSession.open_session",
    "app.middleware.languages.see_who_reads",
    "app.middleware.asgi.answer_refusals",
    "app.middleware.authentication.require_log_in",
]
PAGE = ["app.views.main_pages_bp.index", "app.middleware.authentication.LogInCookie._template_context"]
AFTER = [
    "app.middleware.static_files.Versions.set_caching",
    "app.middleware.headers.forbid_caching",
    "quart_auth.extension.QuartAuth.after_request",
    "app.middleware.devices.set_device_cookie",
    "app.middleware.request_log.note_who_and_what",
    "app.mailer.wake_after_requests",
    "app.middleware.static_files.CookieSession.save_session",
    "app.models.core.Database._wait_for_the_last",
]


@pytest.fixture
async def wire(app: Quart, monkeypatch: pytest.MonkeyPatch) -> Wire:
    """What is asked from now on, on a machine that never pauses."""
    await app.extensions["mailer"].stop()
    monkeypatch.setattr(mysql, "PAUSE", 60)
    wire = Wire()
    wire.listen(monkeypatch)
    return wire


@pytest.fixture
async def ada(app: Quart, client: TestClientProtocol, wire: Wire) -> TestClientProtocol:
    """Return a browser that is logged in, before which nothing was asked."""
    await create_user(app)
    await log_in(client)
    wire.clear()
    return client


@pytest.mark.parametrize(
    "path", ["/", "/about", "/login", "/register", "/account", "/api/", "/healthz", "/nowhere", FILE]
)
async def test_a_stranger_asks_nothing_of_the_database(client: TestClientProtocol, wire: Wire, path: str) -> None:
    assert (await client.get(path)).status_code < 500
    assert wire.asked == []

    await client.get("/readyz")
    assert wire.asked != []


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/", [WHO]),
        ("/about", [WHO]),
        ("/account", [WHO]),
        ("/sessions", [WHO, WHO]),
        ("/account/activity", [WHO, "SELECT user_event"]),
        (FILE, []),
    ],
)
async def test_a_page_for_somebody_asks_who_it_is_and_what_it_shows(
    ada: TestClientProtocol, wire: Wire, path: str, asked: list[str]
) -> None:
    assert (await ada.get(path)).status_code == 200
    assert wire.kinds == asked


async def test_a_page_does_not_fetch_the_hash_of_a_password(ada: TestClientProtocol, wire: Wire) -> None:
    await ada.get("/")
    assert "user.email" in wire.asked[0].replace("`", "").replace('"', "")
    assert "password" not in wire.asked[0]


def asked_by(app: Quart, *trips: str) -> list[str]:
    """Return what is asked: of a server all of a trip in one go, of a file one statement after the other."""
    is_file = app.extensions["db"].dialect.name == "sqlite"
    return [each for trip in trips for each in (trip.split("; ") if is_file else [trip])]


async def test_a_change_is_one_transaction_and_nothing_is_rolled_back(
    app: Quart, ada: TestClientProtocol, wire: Wire
) -> None:
    assert (await ada.post("/account", form={"name": "Countess"})).status_code == 303

    assert wire.kinds == asked_by(app, WHO, "BEGIN; SELECT user", "UPDATE user", "COMMIT")


async def test_sqlite_answers_what_is_quick_at_once_and_waits_for_the_disk_in_a_thread(
    app: Quart, ada: TestClientProtocol, wire: Wire
) -> None:
    await ada.get("/sessions")
    assert wire.trips == []

    await ada.post("/account", form={"name": "Countess"})
    on_a_server = app.extensions["db"].dialect.name != "sqlite"
    assert [kind(trip) for trip in wire.trips] == ([] if on_a_server else ["UPDATE user", "COMMIT"])


async def test_a_change_that_is_refused_begins_nothing(ada: TestClientProtocol, wire: Wire) -> None:
    assert (await ada.post("/account", form={"phone": "no number"})).status_code == 422

    assert wire.kinds == [WHO]


COUNTED = ("BEGIN; SELECT throttle", "UPDATE throttle; COMMIT")
LET_IN = ("BEGIN; SELECT user", "UPDATE throttle", "INSERT user_event; INSERT user_session; COMMIT")


@pytest.fixture
async def browser(app: Quart, ada: TestClientProtocol) -> TestClientProtocol:
    """Return a browser in which somebody has logged in before, and whose tries are counted already."""
    await ada.post("/logout")
    await log_in(ada)
    await ada.post("/logout")
    return ada


async def test_a_log_in_is_counted_looked_up_and_written(app: Quart, browser: TestClientProtocol, wire: Wire) -> None:
    wire.clear()
    assert (await log_in(browser)).status_code == 303

    assert wire.kinds == asked_by(app, *COUNTED, "SELECT user", *LET_IN)
    if app.extensions["db"].dialect.name != "sqlite":  # on which whoever writes is alone
        locked = [asked for asked in wire.asked if asked.endswith("FOR UPDATE")]
        assert locked == [wire.asked[0], wire.asked[3]]


async def test_a_wrong_password_is_counted_and_looked_up(app: Quart, browser: TestClientProtocol, wire: Wire) -> None:
    wire.clear()
    assert (await log_in(browser, password="wrong horse")).status_code == 422

    assert wire.kinds == asked_by(app, *COUNTED, "SELECT user")


async def test_the_first_try_of_a_stranger_is_counted_in_new_rows(
    app: Quart, client: TestClientProtocol, wire: Wire
) -> None:
    assert (await log_in(client)).status_code == 422

    assert wire.kinds == asked_by(app, COUNTED[0], "INSERT throttle", "COMMIT", "SELECT user")
    on_a_server = app.extensions["db"].dialect.name != "sqlite"
    assert wire.asked[-3].count("(") - 1 == (3 if on_a_server else 1)  # SQLite is in no hurry: it is given each row


async def test_after_a_pause_the_server_is_asked_whether_it_is_there(
    app: Quart, ada: TestClientProtocol, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mysql, "PAUSE", 0)
    await ada.get("/")

    on_a_server = app.extensions["db"].dialect.name != "sqlite"
    assert wire.kinds == (["PING", WHO] if on_a_server else [WHO])


async def test_the_outbox_is_looked_at_after_what_posted_a_mail_and_nothing_else(
    app: Quart, client: TestClientProtocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create_user(app)
    (wire := Wire()).listen(monkeypatch)

    await log_in(client)  # from an unknown browser: its owner is told
    for _ in range(100):
        if "SELECT mail" not in wire.kinds:
            await asyncio.sleep(0.05)
    assert "SELECT mail" in wire.kinds
    await asyncio.sleep(0.3)

    wire.clear()
    await log_in(client)
    await asyncio.sleep(0.3)
    assert "SELECT mail" not in wire.kinds


@pytest.fixture
def called(app: Quart, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What Quart calls for a request: it would run in a thread what is not a coroutine function.

    What is done beside the requests, as to sweep when the site starts, has no request's number.
    """
    called, ensure_async = [], app.ensure_async

    def note(function: Any) -> Any:
        if events.request_id.get():
            called.append(function)
        return ensure_async(function)

    monkeypatch.setattr(app, "ensure_async", note)
    return called


@pytest.mark.parametrize(("path", "expected"), [("/", BEFORE + PAGE + AFTER), (FILE, BEFORE + AFTER)])
async def test_what_runs_for_a_request_is_known_and_nothing_of_it_runs_in_a_thread(
    client: TestClientProtocol, called: list[Any], path: str, expected: list[str]
) -> None:
    assert (await client.get(path)).status_code == 200

    assert [each for each in called if not inspect.iscoroutinefunction(each)] == []
    names = [f"{each.__module__}.{each.__qualname__}" for each in called]
    assert [name for name in names if not name.startswith("quart.")] == expected
