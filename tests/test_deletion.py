"""Deleting an account: everything of the user is deleted at once, or nothing is."""

import re

import pytest
from quart import Quart, Response
from quart.typing import TestClientProtocol
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.lib import clock
from app.lib.db import db
from app.models import Email, User
from app.models.base import Base
from app.models.user_token import TokenPurpose
from app.services import account_deletion, outbox, roles, users
from app.services.client import COMMAND_LINE
from support.actions import (
    EMAIL,
    PASSWORD,
    attacker_with,
    cookie_of,
    create_user,
    enter,
    error_beside,
    execute,
    is_logged_in,
    page,
    read,
    register,
    scalars,
    write,
)
from support.app import CORE_TABLES, both_databases
from support.email_links import FORMER_EMAIL, mailed_link
from support.mail_helpers import mails, rendered_emails
from support.own_tables import add_rows

BOB = "bob@example.com"
CONFIRMATIONS = [("account_deleted", EMAIL), ("account_deleted", FORMER_EMAIL)]  # one to each of the user's addresses
REFUSED = {
    "wrong horse": "The password is wrong.",
    "the password of bob": "The password is wrong.",
    "": "Enter your password.",
}
Rows = dict[str, list[str]]


async def delete_account(client: TestClientProtocol, password: str = PASSWORD) -> Response:
    return await client.post("/account/delete", form={"password": password})


async def rows(app: Quart, user_id: int = 0) -> tuple[Rows, Rows]:
    """Return the rows of a user or with an e-mail address of the user, and all others."""

    async def query(session: AsyncSession) -> tuple[Rows, Rows]:
        own: Rows = {}
        others: Rows = {}
        for table in [table for table in Base.metadata.sorted_tables if table.name != "throttle"]:
            for row in await session.execute(select(table)):
                owner = row._mapping.get("id" if table.name == "user" else "user_id")
                found = own if owner == user_id or EMAIL in str(row) else others
                found[table.name] = sorted([*found.get(table.name, []), str(row)])
        return own, others

    async with app.app_context():
        return await db.read(query)


async def fill_every_table(app: Quart, client: TestClientProtocol) -> int:
    """Register a user who has rows in every table, and return the id. No e-mail is delivered."""
    await app.extensions["mail_worker"].stop()
    await register(client)
    await client.post("/account", form={"name": "Ada"})
    for purpose in TokenPurpose:
        await mailed_link(app, purpose)
    await write(app, roles.create, name="admin")
    await write(app, roles.add_to_user, email=EMAIL, role_name="admin")
    (user_id,) = await scalars(app, select(User.id))
    await add_rows(app, user_id)
    return int(user_id)


async def outbox_of(app: Quart) -> list[tuple[str, str]]:
    return [(mail.template, mail.recipient) for mail in await mails(app)]


@both_databases
async def test_a_user_deletes_the_account_and_is_logged_out_everywhere(
    app: Quart, client: TestClientProtocol, log: pytest.LogCaptureFixture
) -> None:
    await register(client)
    elsewhere, attacker = await enter(app), attacker_with(app, cookie_of(client))
    assert f"the account of <strong>{EMAIL}</strong>" in await page(client, "/account/delete")

    response = await delete_account(client)

    assert (response.status_code, response.location) == (303, "/")
    (cookie,) = [cookie for cookie in response.headers.getlist("Set-Cookie") if cookie.startswith("auth=;")]
    assert "Max-Age=0" in cookie
    assert "Your account was deleted." in await page(client)
    assert not any([await is_logged_in(browser) for browser in (client, elsewhere, attacker)])
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
    await add_rows(app, (await read(app, users.get_by_email, email=BOB)).id)
    own, others = await rows(app, user_id)
    owned = {table.name for table in Base.metadata.sorted_tables if "user_id" in table.columns} | {"user"}
    owned &= CORE_TABLES
    await execute(app, update(Email).where(Email.user_id == user_id).values(sent_on=clock.now()))  # as if delivered
    assert set(own) == owned
    assert set(others) >= owned

    await write(app, account_deletion.delete_by_email, email=EMAIL)

    assert await outbox_of(app) == [("reset", BOB), *CONFIRMATIONS]
    left, others_after = await rows(app, user_id)
    assert ({name: len(lines) for name, lines in left.items()}, others_after) == ({"mail": 2}, others)
    for mail in await mails(app, "account_deleted"):
        assert (mail.user_id, mail.facts, mail.secret, mail.purpose) == (None, {}, None, None)
    for message in await rendered_emails(app, "account_deleted"):
        assert (message.subject, message.link) == ("Your account was deleted", None)
    assert await is_logged_in(bob)


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


@both_databases
async def test_a_deletion_that_fails_at_its_last_statement_deletes_nothing(
    app: Quart, client: TestClientProtocol
) -> None:
    await fill_every_table(app, client)
    before, engine = await rows(app), app.extensions["db"]
    error = "SELECT RAISE(ABORT, 'no')" if engine.dialect.name == "sqlite" else "SIGNAL SQLSTATE '45000'"
    async with engine.begin() as connection:
        await connection.execute(text(f"CREATE TRIGGER no AFTER DELETE ON user FOR EACH ROW BEGIN {error}; END"))

    with pytest.raises(DBAPIError):
        await write(app, account_deletion.delete_by_email, email=EMAIL)

    async with engine.begin() as connection:
        await connection.execute(text("DROP TRIGGER no"))
    assert await rows(app) == before
    await write(app, account_deletion.delete_by_email, email=EMAIL)


async def claim_next_email() -> Email:
    ((id_, tries),) = await db.read(outbox.list_due, limit=1)
    mail = await db.write(outbox.claim, id_, tries=tries)
    assert mail
    return mail


async def test_an_email_under_delivery_leaves_no_row_and_neither_does_the_confirmation(
    app: Quart, client: TestClientProtocol
) -> None:
    await app.extensions["mail_worker"].stop()
    await register(client)
    user = await read(app, users.get_by_email, email=EMAIL)
    async with app.app_context():
        await db.write(outbox.enqueue, "welcome", user, client=COMMAND_LINE)
        mail = await claim_next_email()
        await delete_account(client)
        for outcome in (outbox.mark_sent, outbox.mark_failed):
            await db.write(outcome, mail)
        await db.write(outbox.reschedule, mail, error="later")
        assert await outbox_of(app) == CONFIRMATIONS[:1]

        await db.write(outbox.mark_sent, await claim_next_email())
        assert await outbox_of(app) == []
