"""Deleting an account: everything of the user goes at once, or nothing does."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from quart import Quart, Response
from quart.typing import TestClientProtocol
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.lib.db import db
from app.mail import worker
from app.models import Email, User
from app.models.base import Base
from app.models.user_token import TokenPurpose
from app.services import account_deletion, outbox, roles, users
from app.services.client import COMMAND_LINE
from support.account_page import stored
from support.actions import (
    EMAIL,
    PASSWORD,
    attacker_with,
    cookie_of,
    count,
    create_user,
    enter,
    error_beside,
    is_logged_in,
    page,
    read,
    register,
    scalars,
    write,
)
from support.app import both_databases, serving
from support.email_links import FORMER_EMAIL, check_refused, mailed_link
from support.mail_helpers import link, mails, rendered_emails
from support.smtp_server import MailServer

BOB = "bob@example.com"
PHONE = "+49301234567"
FAREWELLS = [("account_deleted", EMAIL), ("account_deleted", FORMER_EMAIL)]  # one to each of the user's addresses
WRONG = "The password is wrong."
REFUSED = {
    "wrong horse": WRONG,
    PASSWORD + " ": WRONG,
    PASSWORD[:-1]: WRONG,
    "the password of bob": WRONG,
    "": "Enter your password.",
    "x" * 4097: "This password is too long.",
}
Rows = dict[str, list[str]]


async def delete_account(client: TestClientProtocol, password: str = PASSWORD) -> Response:
    return await client.post("/account/delete", form={"password": password})


async def rows(app: Quart, *, of: int | None = None, but: int | None = None) -> Rows:
    """Return the rows of every table; only those of a user or of their e-mail addresses, or only the others."""

    def wanted(row: dict[str, Any], owner: str) -> bool:
        is_owned = row.get(owner, 0) in (of or -1, but or -1) or "ada@example.com" in str(row)
        return is_owned if of else not is_owned if but else True

    async def query(session: AsyncSession) -> Rows:
        found: Rows = {}
        for table in Base.metadata.sorted_tables:
            all_rows = [dict(row._mapping) for row in await session.execute(select(table))]
            owner = "id" if table.name == "user" else "user_id"
            found[table.name] = sorted(str(row) for row in all_rows if wanted(row, owner))
        return {name: lines for name, lines in found.items() if lines and name != "throttle"}

    async with app.app_context():
        return await db.read(query)


async def fill_every_table(app: Quart, client: TestClientProtocol) -> int:
    """Register a user who has something in every table; return their id."""
    await register(client)
    await client.post("/account", form={"name": "Ada", "phone": PHONE})
    for purpose in TokenPurpose:
        await mailed_link(app, purpose)
    await write(app, roles.create, name="admin")
    await write(app, roles.add_to_user, email=EMAIL, role_name="admin")
    (user_id,) = await scalars(app, select(User.id))
    return int(user_id)


async def outbox_of(app: Quart) -> list[tuple[str, str]]:
    return [(mail.template, mail.recipient) for mail in await mails(app)]


async def deliver_all(app: Quart) -> None:
    async with app.app_context():
        while any(mail.due_on for mail in await mails(app)):
            await worker.deliver_batch()


@both_databases
async def test_a_user_deletes_the_account_and_is_told_so(
    app: Quart, client: TestClientProtocol, log: pytest.LogCaptureFixture
) -> None:
    await register(client)
    assert f"the account of <strong>{EMAIL}</strong>" in await page(client, "/account/delete")

    response = await delete_account(client)

    assert (response.status_code, response.location) == (303, "/")
    shown = await page(client)
    assert "Your account was deleted." in shown
    assert "You are not logged in." in shown
    assert await count(app, User) == 0
    assert re.search(r"account_deleted request=\w+ user=\d+$", log.text, re.MULTILINE)


@both_databases
async def test_everything_of_the_user_is_deleted_and_nothing_of_other_users(
    app: Quart, client: TestClientProtocol
) -> None:
    user_id = await fill_every_table(app, client)
    bob = app.test_client()
    await register(bob, email=BOB)
    await app.test_client().post("/reset", form={"email": BOB})
    await write(app, roles.add_to_user, email=BOB, role_name="admin")
    await deliver_all(app)
    others = await rows(app, but=user_id)
    owned = {table.name for table in Base.metadata.sorted_tables if "user_id" in table.columns} | {"user"}
    assert set(await rows(app, of=user_id)) == owned
    assert set(others) >= owned

    assert (await delete_account(client)).status_code == 303

    assert await outbox_of(app) == [("reset", BOB), *FAREWELLS]
    assert {name: len(lines) for name, lines in (await rows(app, of=user_id)).items()} == {"mail": 2}
    for mail in await mails(app, "account_deleted"):
        assert (mail.user_id, mail.facts, mail.secret, mail.purpose) == (None, {}, None, None)
    for message in await rendered_emails(app, "account_deleted"):
        assert (message.subject, message.link) == ("Your account was deleted", None)
    assert await rows(app, but=user_id) == others
    assert await is_logged_in(bob)


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer().running() as running:
        yield running


async def test_what_waits_in_the_outbox_is_not_sent_any_more_but_the_farewell_is(
    settings: dict[str, Any], server: MailServer
) -> None:
    server.to_recipient = "451 Later"
    async with serving(settings | server.settings) as app:
        client = app.test_client()
        await fill_every_table(app, client)
        app.extensions["mail_worker"].wakeup.set()
        await until(app, lambda waiting: waiting and not [mail for mail in waiting if not mail.error])
        server.to_recipient = "250 OK"
        assert (await delete_account(client)).status_code == 303
        await until(app, lambda waiting: not waiting)  # the farewell leaves no trace there

    sent = {(str(mail["To"]), str(mail["Subject"])) for mail in server.messages}
    assert sent == {(email, "Your account was deleted") for _, email in FAREWELLS}


async def until(app: Quart, is_met: Callable[[list[Email]], object]) -> None:
    """Wait until the outbox is as expected."""
    async with asyncio.timeout(10):
        for found in iter(lambda: mails(app), None):
            if is_met(await found):
                break
            await asyncio.sleep(0.02)


async def test_without_the_password_nothing_is_deleted(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app, BOB, "the password of bob")
    await register(client)
    before = await rows(app)

    for password, message in REFUSED.items():
        response = await delete_account(client, password)
        assert await error_beside(response, "password") == message
        assert not password or password not in await response.get_data(as_text=True)

    assert await rows(app) == before
    assert await is_logged_in(client)


async def test_the_id_of_a_deleted_account_is_never_used_again(app: Quart) -> None:
    first = await create_user(app)
    await write(app, account_deletion.delete_by_email, email=EMAIL)

    assert (await create_user(app)).id != first.id  # the log, and requests under way, mean the other one


@asynccontextmanager
async def deletions_failing_at_the_end(app: Quart) -> AsyncIterator[None]:
    """Have the database raise an error when the row of a user has just been deleted."""
    engine = app.extensions["db"]
    says_no = "SELECT RAISE(ABORT, 'no')" if engine.dialect.name == "sqlite" else "SIGNAL SQLSTATE '45000'"
    async with engine.begin() as connection:
        await connection.execute(
            text(f"CREATE TRIGGER no AFTER DELETE ON user FOR EACH ROW BEGIN {says_no}; END")  # two constants
        )
    try:
        yield
    finally:
        async with engine.begin() as connection:
            await connection.execute(text("DROP TRIGGER no"))


@both_databases
async def test_a_deletion_that_fails_leaves_everything(app: Quart, client: TestClientProtocol) -> None:
    await fill_every_table(app, client)
    await deliver_all(app)
    before = await rows(app)

    async with deletions_failing_at_the_end(app):
        response = await delete_account(client)

    assert response.status_code in (500, 503)
    assert await rows(app) == before
    assert await is_logged_in(client)
    assert (await delete_account(client)).status_code == 303


# Afterwards


async def test_the_cookie_is_deleted_and_every_session_has_ended(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    elsewhere = await enter(app)
    attacker = attacker_with(app, cookie_of(client))

    response = await delete_account(client)

    deleted = [cookie for cookie in response.headers.getlist("Set-Cookie") if cookie.startswith("auth=")]
    assert [cookie.split(";")[0] for cookie in deleted] == ["auth="]
    assert "Max-Age=0" in deleted[0]
    assert not any([await is_logged_in(browser) for browser in (client, elsewhere, attacker)])
    assert (await elsewhere.get("/account")).location == "/login?next=/account"


async def test_the_email_address_and_the_number_can_be_used_again_and_bring_nothing_back(
    app: Quart, client: TestClientProtocol
) -> None:
    await fill_every_table(app, client)
    attacker, path = attacker_with(app, cookie_of(client)), await link(app, "reset")
    await delete_account(client)

    newcomer = app.test_client()
    assert (await register(newcomer)).status_code == 303
    assert (await newcomer.post("/account", form={"name": "", "phone": PHONE})).status_code == 303

    assert not await is_logged_in(attacker)
    await check_refused(app.test_client(), path)
    assert await stored(app) == (None, PHONE)
    assert not (await read(app, users.get_by_email, email=EMAIL)).roles


async def test_an_email_that_is_being_delivered_during_the_deletion_leaves_nothing_behind(
    app: Quart, client: TestClientProtocol
) -> None:
    await register(client)
    async with app.app_context():
        await db.write(enqueue_welcome)
        ((id_, tries),) = await db.read(outbox.list_due, limit=1)
        mail = await db.write(outbox.claim, id_, tries=tries)
        assert mail is not None
        await delete_account(client)

        for outcome in (outbox.mark_sent, outbox.mark_failed):
            await db.write(outcome, mail)
        await db.write(outbox.reschedule, mail, error="later")

    assert await outbox_of(app) == FAREWELLS[:1]


async def enqueue_welcome(session: AsyncSession) -> None:
    user = await users.get_by_email(session, email=EMAIL)
    await outbox.enqueue(session, "welcome", user, client=COMMAND_LINE)
