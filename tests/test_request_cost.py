"""The cost of a request: the statements that it sends, and the functions that run for it."""

import asyncio
import inspect
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol

from app.lib import logs
from support.actions import PASSWORD, create_user, is_logged_in, log_in
from support.app import on_mariadb
from support.mariadb_server import MariaDB
from support.statements import kind, sent_statements

FILE = "/static/css/main.css"


@pytest.fixture
async def sent(app: Quart) -> Any:
    await app.extensions["mail_worker"].stop()
    with sent_statements(app) as sent:
        yield sent


@pytest.fixture
async def ada(app: Quart, client: TestClientProtocol, sent: list[str]) -> TestClientProtocol:
    """Return a logged-in browser, and empty the list of statements."""
    await create_user(app)
    await log_in(client)
    sent.clear()
    return client


async def test_a_request_without_a_cookie_sends_nothing(client: TestClientProtocol, sent: list[str]) -> None:
    for path in "/login", "/register", "/account", "/api/", "/healthz", "/nowhere", FILE:
        assert (await client.get(path)).status_code < 500
        assert sent == [], path

    await client.get("/readyz")
    assert sent != []


async def test_a_page_sends_one_query_for_the_user_and_one_for_what_it_shows(
    ada: TestClientProtocol, sent: list[str]
) -> None:
    numbers = {"/change": 1, "/account": 1, "/sessions": 2, "/account/activity": 2, FILE: 0}
    for path, number in numbers.items():
        sent.clear()
        assert (await ada.get(path)).status_code == 200
        assert [statement[:6] for statement in sent] == ["SELECT"] * number, path


async def test_a_page_does_not_load_secrets(ada: TestClientProtocol, sent: list[str]) -> None:
    await ada.get("/account")

    (query,) = sent
    columns = query.partition("FROM")[0]
    assert "email" in columns
    assert "password" not in columns
    assert "digest" not in columns


async def test_a_change_is_one_transaction_and_a_refused_form_none(ada: TestClientProtocol, sent: list[str]) -> None:
    assert (await ada.post("/account", form={"name": "Countess"})).status_code == 303
    assert [kind(each) for each in sent[1:]] == ["BEGIN", "SELECT user", "UPDATE user", "COMMIT"]

    sent.clear()
    assert (await ada.post("/account", form={"name": "two\nlines"})).status_code == 422
    assert len(sent) == 1


async def test_a_login_in_a_trusted_device_sends_few_statements(
    app: Quart, ada: TestClientProtocol, sent: list[str]
) -> None:
    await log_in(ada)  # begins the windows of the rate limits
    steps = len(app.extensions["extension_points"].login_steps)  # each looks whether it applies

    for password, transactions, statements in ((PASSWORD, 2, 14 + steps), ("wrong horse", 1, 6)):
        await ada.post("/logout")
        sent.clear()
        await log_in(ada, password=password)

        assert sent.count("BEGIN") == sent.count("COMMIT") == transactions
        assert len(sent) <= statements
        assert "ROLLBACK" not in sent


@on_mariadb
async def test_mariadb_receives_one_command_for_each_page_and_nothing_around_it(
    ada: TestClientProtocol, mariadb: MariaDB
) -> None:
    mariadb.execute("SET GLOBAL log_output = 'TABLE'", "TRUNCATE mysql.general_log", "SET GLOBAL general_log = ON")
    try:
        assert [await is_logged_in(ada) for _ in range(3)] == [True] * 3
    finally:
        mariadb.execute("SET GLOBAL general_log = OFF")

    of_the_user = "SELECT thread_id FROM mysql.general_log WHERE argument LIKE '%FROM user_session%'"
    with mariadb.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            f"SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log WHERE thread_id IN ({of_the_user})"
        )
        commands = [command for (command,) in cursor.fetchall()]
    assert len(commands) == 3
    assert all("FROM user_session" in command for command in commands)


async def test_the_outbox_is_queried_after_a_request_that_enqueued_an_email_and_after_no_other(app: Quart) -> None:
    await create_user(app)
    client = app.test_client()

    with sent_statements(app) as sent:
        await log_in(client)  # from an unknown browser: a security alert
        for _ in range(100):
            if any(kind(each) == "SELECT mail" for each in sent):
                break
            await asyncio.sleep(0.05)
        else:
            pytest.fail("the outbox was not queried")
        await asyncio.sleep(0.3)

        sent.clear()
        await log_in(client)
        await asyncio.sleep(0.3)
        assert "SELECT mail" not in [kind(each) for each in sent]


async def test_nothing_runs_in_a_thread_for_a_page(
    app: Quart, client: TestClientProtocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    called, ensure_async = [], app.ensure_async  # which runs what is not a coroutine function in a thread

    def note(function: Any) -> Any:
        if logs.request_id.get():  # not a task that runs beside the requests
            called.append(function)
        return ensure_async(function)

    monkeypatch.setattr(app, "ensure_async", note)
    for path in "/register", "/login", FILE:
        assert (await client.get(path)).status_code == 200

    assert called != []
    assert [each for each in called if not inspect.iscoroutinefunction(each)] == []
