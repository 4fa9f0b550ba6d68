"""Races, a row per flow: of simultaneous requests one succeeds, and what was revoked meanwhile stays revoked."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from quart import Quart, Response
from quart.typing import TestClientProtocol
from sqlalchemy import delete, event, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.lib.db import db
from app.models import Email, User, UserSession, UserToken
from app.models.base import Base
from app.models.user_token import TokenPurpose
from app.services import account_deletion, users
from support.account_page import stored
from support.actions import (
    EMAIL,
    PASSWORD,
    at_once,
    attacker_with,
    can_log_in,
    change_password,
    cookie_of,
    count,
    create_user,
    emails_of_users,
    enter,
    execute,
    is_logged_in,
    log_in,
    page,
    register,
    scalars,
    write,
)
from support.app import CHEAP, both_databases, serving
from support.email_links import FORMER_EMAIL, NEW_EMAIL, NEW_PASSWORD, TYPED, events, join, mailed_link, press
from support.frozen_clock import FrozenClock
from support.mail_helpers import follow, link, mails, rendered_emails

BOB = "bob@example.com"
PHONES = ("+49301234567", "+49 30 1234567", "+49 (0)30 1234567", "0049 30 1234567", "(+49) 30.123.4567")
EVENT = {
    TokenPurpose.CONFIRM: "email_confirmed",
    TokenPurpose.RESET: "password_reset",
    TokenPurpose.CHANGE_EMAIL: "email_changed",
    TokenPurpose.UNDO_EMAIL: "email_change_reverted",
    TokenPurpose.NOT_ME: "compromise_reported",
}
of_every_purpose = pytest.mark.parametrize("purpose", list(TokenPurpose))


@pytest.fixture
def settings(settings: dict[str, Any]) -> dict[str, Any]:
    return settings | {"DATABASE_TIMEOUT": timedelta(seconds=30)}  # on a busy machine everything takes longer


@pytest.fixture
async def confirmable(settings: dict[str, Any]) -> AsyncIterator[Quart]:
    async with serving(settings | {"SECURITY_CONFIRMABLE": True}) as app:
        yield app


def copies(app: Quart, client: TestClientProtocol, number: int) -> list[TestClientProtocol]:
    """Return browsers that share the session of another."""
    return [attacker_with(app, cookie_of(client)) for _ in range(number)]


async def save(client: TestClientProtocol, name: str, phone: str) -> Response:
    return await client.post("/account", form={"name": name, "phone": phone})


async def request_change(client: TestClientProtocol, email: str) -> Response:
    return await client.post("/change-email", form={"email": email})


# Of simultaneous requests one succeeds


class Race(NamedTuple):
    """Simultaneous requests, the status of those that lose, and the query that counts what the winner has made."""

    requests: list[Awaitable[Response]]
    status: int
    made: Any


async def race_for_an_email_address_by_registering(app: Quart) -> Race:
    requests = [register(app.test_client(), password=f"horse battery staple {number}") for number in range(20)]
    return Race([*requests], 422, select(UserSession.id))


async def race_for_a_phone_number(app: Quart) -> Race:
    browsers = [await join(app, f"user{number}@example.com") for number in range(len(PHONES))]
    requests = [save(browser, "", phone) for browser, phone in zip(browsers, PHONES, strict=True)]
    return Race([*requests], 422, select(User.id).where(User.phone.is_not(None)))


async def race_for_an_email_address_by_changing_to_it(app: Quart) -> Race:
    browsers = [await join(app, email) for email in (EMAIL, BOB)]
    requests = []
    for browser in browsers:
        await request_change(browser, NEW_EMAIL)
        requests.append(browser.post(await link(app, "change_email", to=NEW_EMAIL)))
    return Race([*requests], 404, select(Email.id).where(Email.template == "email_changed"))


async def race_of_one_user_for_several_email_addresses(app: Quart) -> Race:
    browsers = copies(app, await join(app), 4)
    wanted = [request_change(browser, f"new{number}@example.com") for number, browser in enumerate(browsers)]
    assert await at_once(wanted) == {303: 4}
    path = await link(app, "change_email")
    return Race([browser.post(path) for browser in browsers], 404, select(User.id).where(User.email != EMAIL))


async def race_to_reset_a_password(app: Quart) -> Race:
    await create_user(app)
    path = await mailed_link(app, TokenPurpose.RESET)
    forms = [dict.fromkeys(TYPED, f"horse battery {number}") for number in range(5)]
    requests = [app.test_client().post(path, form=form) for form in forms]
    return Race([*requests], 404, select(Email.id).where(Email.template == "password_changed"))


RACES = (
    race_for_an_email_address_by_registering,
    race_for_a_phone_number,
    race_for_an_email_address_by_changing_to_it,
    race_of_one_user_for_several_email_addresses,
    race_to_reset_a_password,
)


@both_databases
@pytest.mark.parametrize("race", RACES)
async def test_of_simultaneous_requests_one_succeeds(app: Quart, race: Callable[[Quart], Awaitable[Race]]) -> None:
    requests, status, made = await race(app)

    assert await at_once(requests) == {303: 1, status: len(requests) - 1}

    assert len(await scalars(app, made)) == 1
    assert max(Counter(await emails_of_users(app)).values()) == 1


@both_databases
@of_every_purpose
async def test_of_simultaneous_requests_with_one_token_one_succeeds(confirmable: Quart, purpose: TokenPurpose) -> None:
    client = await join(confirmable)
    path = await mailed_link(confirmable, purpose)

    statuses = await at_once(press(browser, path) for browser in copies(confirmable, client, 6))

    assert statuses == {303: 1, 404: 5}
    assert await events(confirmable, EVENT[purpose]) == (
        2 if purpose == TokenPurpose.CONFIRM else 1
    )  # join() confirms too


@both_databases
async def test_of_simultaneous_deletions_of_one_account_one_succeeds(app: Quart) -> None:
    browsers = copies(app, await join(app), 6)

    responses = await asyncio.gather(
        *(browser.post("/account/delete", form={"password": PASSWORD}) for browser in browsers)
    )

    results = Counter((response.status_code, response.location) for response in responses)
    assert results.pop((303, "/")) == 1
    assert set(results) <= {(422, None), (303, "/login?next=/account/delete")}
    assert [mail.template for mail in await mails(app)] == ["account_deleted"]


@both_databases
async def test_simultaneous_registrations_to_confirm_open_one_account_with_one_link(confirmable: Quart) -> None:
    app, browsers = confirmable, [confirmable.test_client() for _ in range(10)]
    passwords = [f"{PASSWORD} {number}" for number in range(10)]

    requests = (register(browser, password=password) for browser, password in zip(browsers, passwords, strict=True))
    assert await at_once(requests) == {303: 10}

    path = await link(app, "confirm")
    chosen = ["new_password" not in await page(browser, path) for browser in browsers].index(True)
    assert (await count(app, User), await count(app, UserToken)) == (1, 1)
    assert await follow(browsers[chosen], path) == 303
    assert [await can_log_in(app, password=password) for password in passwords].index(True) == chosen


@both_databases
@pytest.mark.parametrize(("path", "purpose"), [("/reset", TokenPurpose.RESET), ("/confirm", TokenPurpose.CONFIRM)])
async def test_simultaneous_requests_for_a_link_leave_one_that_works(
    confirmable: Quart, path: str, purpose: TokenPurpose
) -> None:
    await create_user(confirmable)

    requests = [confirmable.test_client().post(path, form={"email": EMAIL}) for _ in range(10)]
    assert await at_once(requests) == {303: 10}

    assert await count(confirmable, UserToken, UserToken.purpose == purpose) == 1
    assert await follow(confirmable.test_client(), await link(confirmable, purpose), **TYPED) == 303


@both_databases
async def test_two_users_who_exchange_phone_numbers_or_email_addresses_at_once_get_neither(app: Quart) -> None:
    ada, bob = await join(app), await join(app, BOB)
    await save(ada, "", "+49300000001")
    await save(bob, "", "+49300000002")

    assert await at_once([save(ada, "", "+49300000002"), save(bob, "", "+49300000001")]) == {422: 2}
    assert await at_once([request_change(ada, BOB), request_change(bob, EMAIL)] * 1) == {303: 2}

    assert [(await stored(app, email))[1] for email in (EMAIL, BOB)] == ["+49300000001", "+49300000002"]
    assert {mail.recipient for mail in await mails(app, "email_taken")} == {EMAIL, BOB}
    assert not await mails(app, "change_email")


@both_databases
async def test_simultaneous_first_logins_with_an_old_hash_all_succeed(app: Quart) -> None:
    await create_user(app)
    await execute(app, update(User).values(password=CHEAP.using(argon2__time_cost=1).hash(PASSWORD)))

    assert await at_once(log_in(app.test_client()) for _ in range(6)) == {303: 6}

    assert len({message.link for message in await rendered_emails(app, "new_login")}) == 6  # each is a security alert


@both_databases
async def test_two_simultaneous_changes_leave_one_password_and_one_session(app: Quart) -> None:
    await create_user(app)
    clients = [await enter(app) for _ in range(2)]
    passwords = [f"horse number {number}" for number in range(2)]

    await at_once(
        change_password(client, new_password=password) for client, password in zip(clients, passwords, strict=True)
    )

    assert [await is_logged_in(client) for client in clients].count(True) == 1
    assert [await can_log_in(app, password=password) for password in passwords].count(True) == 1


@both_databases
async def test_of_a_change_of_the_password_and_a_simultaneous_reset_one_succeeds(app: Quart) -> None:
    owner = await join(app)
    path = await mailed_link(app, TokenPurpose.RESET)

    changed, reset = await asyncio.gather(change_password(owner), press(app.test_client(), path))

    succeeded = [changed.location == "/", reset.status_code == 303]
    assert sorted(succeeded) == [False, True]
    new = ("another horse battery staple", NEW_PASSWORD)
    assert [await can_log_in(app, password=password) for password in new] == succeeded


# What was revoked meanwhile stays revoked


async def change_the_password(_app: Quart, owner: TestClientProtocol) -> Response:
    return await change_password(owner)


async def reset_the_password(app: Quart, _owner: TestClientProtocol) -> Response:
    return await press(app.test_client(), await mailed_link(app, TokenPurpose.RESET))


async def report_not_me(app: Quart, _owner: TestClientProtocol) -> Response:
    return await press(app.test_client(), await mailed_link(app, TokenPurpose.NOT_ME))


async def undo_a_change_of_the_email_address(app: Quart, _owner: TestClientProtocol) -> Response:
    return await press(app.test_client(), await mailed_link(app, TokenPurpose.UNDO_EMAIL))


async def confirm_in_another_browser(app: Quart, _owner: TestClientProtocol) -> Response:
    return await press(app.test_client(), await mailed_link(app, TokenPurpose.CONFIRM))


async def delete_the_account(_app: Quart, owner: TestClientProtocol) -> Response:
    return await owner.post("/account/delete", form={"password": PASSWORD})


async def deactivate_the_account(app: Quart, owner: TestClientProtocol) -> Response:
    await write(app, users.deactivate, email=EMAIL)
    return await owner.post("/account")


REVOCATIONS = (
    change_the_password,
    reset_the_password,
    report_not_me,
    undo_a_change_of_the_email_address,
    confirm_in_another_browser,
    delete_the_account,
    deactivate_the_account,
)


@both_databases
@pytest.mark.parametrize("revoke", REVOCATIONS)
async def test_logins_that_race_a_revocation_do_not_survive_it(
    confirmable: Quart, revoke: Callable[[Quart, TestClientProtocol], Awaitable[Response]]
) -> None:
    app, owner = confirmable, await join(confirmable)
    guests = [app.test_client() for _ in range(8)]

    revoked, *logins = await asyncio.gather(revoke(app, owner), *(log_in(guest) for guest in guests))

    assert revoked.status_code == 303
    assert {response.status_code for response in logins} <= {303, 422}
    assert not any([await is_logged_in(guest) for guest in guests])
    assert await count(app, UserSession) == (revoke == change_the_password)  # which keeps the session it was made in


@both_databases
async def test_a_reauthentication_that_races_a_revocation_is_void(app: Quart, frozen_clock: FrozenClock) -> None:
    await create_user(app)
    for revoke in (end_other_sessions, change_password):
        client, other = await enter(app), await enter(app)

        await at_once([client.post("/verify", form={"password": PASSWORD}), revoke(other)])

        assert not await is_logged_in(client)
        assert await is_logged_in(other)
        assert await scalars(app, select(UserSession.authenticated_on)) == [frozen_clock.now()]


async def end_other_sessions(client: TestClientProtocol) -> Response:
    return await client.post("/sessions/end-others")


@both_databases
async def test_two_browsers_that_end_each_others_session_at_once_are_not_both_left(app: Quart) -> None:
    await create_user(app)
    browsers = [await enter(app) for _ in range(2)]

    assert await at_once(map(end_other_sessions, browsers)) == {303: 2}

    assert await count(app, UserSession) <= 1


@both_databases
async def test_requests_that_race_the_end_of_their_session_do_not_bring_it_back(
    app: Quart, frozen_clock: FrozenClock
) -> None:
    await create_user(app)
    there, here = await enter(app), await enter(app)
    ended = min(await scalars(app, select(UserSession.id)))
    frozen_clock.forward(timedelta(minutes=2))  # so the requests would write that the session was seen

    ends = [browser.post(f"/sessions/{ended}/end") for browser in copies(app, here, 4)]
    await asyncio.gather(*(page(browser) for browser in copies(app, there, 4)), *ends)

    assert not await is_logged_in(there)
    assert await count(app, UserSession) == 1
    assert await events(app, "session_ended") == 1


@both_databases
async def test_of_both_links_that_undo_a_change_at_once_the_owners_wins(app: Quart) -> None:
    attacker = await join(app)
    links = []
    for former, email in ((EMAIL, NEW_EMAIL), (NEW_EMAIL, "third@example.com")):
        await request_change(attacker, email)
        assert await follow(attacker, await link(app, "change_email", to=email)) == 303
        links.append(await link(app, "email_changed", to=former))

    owners, _attackers = await asyncio.gather(*(app.test_client().post(path) for path in links))

    assert owners.status_code == 303
    assert await emails_of_users(app) == [EMAIL]
    assert (await app.test_client().get(links[1])).status_code == 404


@both_databases
async def test_a_further_change_that_races_an_undo_gains_an_attacker_nothing(app: Quart) -> None:
    attacker = await join(app)
    undo = await mailed_link(app, TokenPurpose.UNDO_EMAIL)
    further = await mailed_link(app, TokenPurpose.CHANGE_EMAIL)

    undone, changed = await asyncio.gather(app.test_client().post(undo), attacker.post(further))

    assert (undone.status_code, changed.status_code in (303, 404)) == (303, True)
    assert await emails_of_users(app) == [FORMER_EMAIL]
    assert not await is_logged_in(attacker)
    assert TokenPurpose.CHANGE_EMAIL not in await scalars(app, select(UserToken.purpose))


@both_databases
async def test_an_email_address_is_not_free_for_a_moment_while_it_changes_or_comes_back(app: Quart) -> None:
    ada, bob = await join(app), await join(app, BOB)
    await request_change(bob, "third@example.com")
    bobs = await link(app, "change_email", to="third@example.com")
    # As if Bob had requested it before Ada had it.
    await execute(
        app, update(UserToken).where(UserToken.email == "third@example.com").values(email=EMAIL, email_key=EMAIL)
    )
    await request_change(ada, NEW_EMAIL)
    adas = await link(app, "change_email", to=NEW_EMAIL)

    registrations = [register(app.test_client()) for _ in range(4)]
    assert await at_once([ada.post(adas), bob.post(bobs), *registrations]) == {303: 1, 404: 1, 422: 4}
    assert sorted(await emails_of_users(app)) == sorted([NEW_EMAIL, BOB])

    undo = await link(app, "email_changed", to=EMAIL)
    registrations = [register(app.test_client()) for _ in range(4)]
    assert await at_once([*registrations, app.test_client().post(undo)]) == {303: 1, 422: 4}
    assert sorted(await emails_of_users(app)) == sorted([EMAIL, BOB])


# While an account is deleted

OF_ITS_USER: dict[str, dict[str, str]] = {
    "/account": {"name": "Ada", "phone": "+49301234567"},
    "/logout": {},
    "/sessions/end-others": {},
    "/sessions/{session}/end": {},
    "/verify": {"password": PASSWORD},
    "/change": {"password": PASSWORD} | TYPED,
    "/change-email": {"email": NEW_EMAIL},
    "/account/delete": {"password": PASSWORD},
}
OF_AN_ATTACKER: dict[str, dict[str, str]] = {
    "/login": {"email": EMAIL, "password": PASSWORD},
    "/login?": {"email": EMAIL, "password": "wrong horse"},
    "/reset": {"email": EMAIL},
    "/confirm": {"email": EMAIL},
    "/register": {"email": EMAIL, "password": PASSWORD, "password_confirm": PASSWORD},
}


@both_databases
async def test_a_request_during_the_deletion_of_its_account_brings_nothing_back(
    confirmable: Quart, log: pytest.LogCaptureFixture
) -> None:
    app, brought_back = confirmable, list[str]()
    await app.extensions["mail_worker"].stop()
    links = {f"{{{purpose}}}": TYPED for purpose in TokenPurpose}
    for path, form in (OF_ITS_USER | links | OF_AN_ATTACKER).items():
        user, client = await user_and_browser(app, logged_in=path not in OF_AN_ATTACKER, confirmed=path != "/confirm")
        other = max(await scalars(app, select(UserSession.id)), default=0)
        mailed = {purpose: await mailed_link(app, purpose) for purpose in TokenPurpose if path in links}
        path_now = path.format(session=other, **mailed) if path not in links else mailed[TokenPurpose(path.strip("{}"))]

        response = await during_its_deletion(app, client.post(path_now, form=form))

        expected = {404} if path in links else {303, 404, 422}
        left = await tables_with(app, user.id) or await is_logged_in(client) or await unexpected_mails(app, path)
        if response.status_code not in expected or left:
            brought_back.append(f"{path}: {response.status_code} {left}")
        for table in (User, Email):
            await execute(app, delete(table))

    assert brought_back == []
    assert "unhandled_error" not in log.text


async def user_and_browser(app: Quart, *, logged_in: bool, confirmed: bool) -> tuple[User, TestClientProtocol]:
    user = await create_user(app)
    if confirmed:
        await write(app, users.confirm, email=EMAIL)
    if logged_in:
        await enter(app)
    return user, await enter(app) if logged_in else app.test_client()


async def unexpected_mails(app: Quart, path: str) -> set[str]:
    """Return which e-mails are left, apart from the farewell and those of a registration that came afterwards."""
    return (
        {mail.template for mail in await mails(app)}
        - {"account_deleted"}
        - ({"confirm"} if path == "/register" else set())
    )


async def tables_with(app: Quart, user_id: int) -> set[str]:
    """Return the names of the tables with rows of a user."""

    async def query(session: AsyncSession) -> set[str]:
        tables = [table for table in Base.metadata.sorted_tables if "user_id" in table.columns]
        counts = {table.name: select(func.count()).where(table.c.user_id == user_id) for table in tables}
        counts["user"] = select(func.count()).where(User.id == user_id)
        return {name for name, statement in counts.items() if await session.scalar(statement)}

    async with app.app_context():
        return await db.read(query)


async def during_its_deletion(app: Quart, request: Awaitable[Response]) -> Response:
    """Begin to delete the account, send the request until it waits for the deletion, and then commit."""
    with executed_statements(app) as statements:
        async with AsyncSession(app.extensions["db"]) as session, session.begin():
            await session.connection()
            await account_deletion.delete_by_email(session, email=EMAIL)
            statements.clear()
            sent = asyncio.ensure_future(request)
            for _ in range(40):  # less than the timeout of a lock
                if sent.done() or await is_waiting(app, statements):
                    break
                await asyncio.sleep(0.02)
        return await sent


@contextmanager
def executed_statements(app: Quart) -> Iterator[list[str]]:
    """Collect the statements of transactions, when they begin to be executed."""
    engine, statements = app.extensions["db"].sync_engine, list[str]()

    def note(*arguments: Any) -> None:
        statements.append(arguments[2])

    event.listen(engine, "before_cursor_execute", note)
    yield statements
    event.remove(engine, "before_cursor_execute", note)


async def is_waiting(app: Quart, statements: list[str]) -> bool:
    """Return whether a request waits for a lock."""
    engine = app.extensions["db"]
    if engine.dialect.name == "sqlite":
        return "BEGIN IMMEDIATE" in statements
    async with engine.connect() as connection:
        row = (await connection.execute(text("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'"))).one()
    return int(row[1]) > 0


@both_databases
async def test_a_deletion_whose_client_disconnects_is_completed(app: Quart) -> None:
    client = await join(app)
    (user_id,) = await scalars(app, select(User.id))

    with executed_statements(app) as statements:
        deleting = asyncio.create_task(client.post("/account/delete", form={"password": PASSWORD}))
        async with asyncio.timeout(20):
            for _ in itertools.takewhile(lambda _: "DELETE FROM" not in "".join(statements), itertools.count()):
                await asyncio.sleep(0)
        deleting.cancel()
        await asyncio.wait({deleting})
        async with asyncio.timeout(20):
            for left in iter(lambda: tables_with(app, user_id), None):
                if not await left:
                    break

    assert [mail.template for mail in await mails(app)] == ["account_deleted"]
    assert not await is_logged_in(client)
