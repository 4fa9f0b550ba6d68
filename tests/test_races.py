"""Races: of simultaneous requests one succeeds, and what was revoked meanwhile stays revoked."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from quart import Quart, Response
from quart.typing import TestClientProtocol
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Email, User, UserSession, UserToken
from app.models.base import Base
from app.models.user_token import TokenPurpose
from app.services import account_deletion, users
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
from support.email_links import (
    FORMER_EMAIL,
    MAIL,
    NEW_EMAIL,
    NEW_PASSWORD,
    TYPED,
    events,
    join,
    mailed_link,
    mailed_links,
    press,
)
from support.frozen_clock import FrozenClock
from support.mail_helpers import follow, link, mails

BOB = "bob@example.com"
EVENT = {
    TokenPurpose.CONFIRM: "email_confirmed",
    TokenPurpose.RESET: "password_reset",
    TokenPurpose.CHANGE_EMAIL: "email_changed",
    TokenPurpose.UNDO_EMAIL: "email_change_reverted",
    TokenPurpose.NOT_ME: "compromise_reported",
}


@pytest.fixture
async def confirmable(settings: dict[str, Any]) -> AsyncIterator[Quart]:
    async with serving(settings | {"SECURITY_CONFIRMABLE": True}) as app:
        yield app


def copies(app: Quart, client: TestClientProtocol, number: int) -> list[TestClientProtocol]:
    """Return browsers that share the session of another."""
    return [attacker_with(app, cookie_of(client)) for _ in range(number)]


async def delete_account(client: TestClientProtocol) -> Response:
    return await client.post("/account/delete", form={"password": PASSWORD})


async def end_other_sessions(client: TestClientProtocol) -> Response:
    return await client.post("/sessions/end-others")


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


async def race_for_an_email_address_by_changing_to_it(app: Quart) -> Race:
    requests = []
    for email in (EMAIL, BOB):
        browser = await join(app, email)
        await request_change(browser, NEW_EMAIL)
        requests.append(browser.post(await link(app, "change_email", to=NEW_EMAIL)))
    return Race([*requests], 404, select(Email.id).where(Email.template == "email_changed"))


@both_databases
@pytest.mark.parametrize(
    "race", [race_for_an_email_address_by_registering, race_for_an_email_address_by_changing_to_it]
)
async def test_of_simultaneous_requests_one_succeeds(app: Quart, race: Callable[[Quart], Awaitable[Race]]) -> None:
    requests, status, made = await race(app)

    assert await at_once(requests) == {303: 1, status: len(requests) - 1}

    assert len(await scalars(app, made)) == 1
    assert max(Counter(await emails_of_users(app)).values()) == 1


@both_databases
@pytest.mark.parametrize("purpose", list(TokenPurpose))
async def test_of_simultaneous_requests_with_one_token_one_succeeds(confirmable: Quart, purpose: TokenPurpose) -> None:
    client = await join(confirmable)
    path = await mailed_link(confirmable, purpose)

    assert await at_once(press(browser, path) for browser in copies(confirmable, client, 6)) == {303: 1, 404: 5}

    confirmed_before = purpose == TokenPurpose.CONFIRM  # by join()
    assert await events(confirmable, EVENT[purpose]) == 1 + confirmed_before


@both_databases
async def test_of_simultaneous_deletions_of_one_account_one_succeeds(app: Quart) -> None:
    browsers = copies(app, await join(app), 6)

    responses = await asyncio.gather(*(delete_account(browser) for browser in browsers))

    assert [response.location for response in responses].count("/") == 1
    assert {response.location for response in responses} <= {"/", None, "/login?next=/account/delete"}
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
@pytest.mark.parametrize("purpose", [TokenPurpose.RESET, TokenPurpose.CONFIRM, TokenPurpose.CHANGE_EMAIL])
async def test_simultaneous_requests_for_a_link_leave_one_that_works(confirmable: Quart, purpose: TokenPurpose) -> None:
    app, client, email = confirmable, confirmable.test_client(), EMAIL
    await create_user(app)
    if purpose == TokenPurpose.CHANGE_EMAIL:
        client, email = await join(app, BOB), NEW_EMAIL

    requests = [client.post(f"/{purpose}", form={"email": email}) for _ in range(10)]
    assert await at_once(requests) == {303: 10}

    assert await count(app, UserToken, UserToken.purpose == purpose) == 1
    assert await follow(client, await link(app, MAIL[purpose]), **TYPED) == 303


@both_databases
async def test_two_users_who_exchange_email_addresses_at_once_get_neither(app: Quart) -> None:
    ada, bob = await join(app), await join(app, BOB)

    assert await at_once([request_change(ada, BOB), request_change(bob, EMAIL)]) == {303: 2}

    assert {mail.recipient for mail in await mails(app, "email_taken")} == {EMAIL, BOB}
    assert not await mails(app, "change_email")


@both_databases
async def test_simultaneous_first_logins_with_an_old_hash_all_succeed(app: Quart) -> None:
    await create_user(app)
    await execute(app, update(User).values(password=CHEAP.using(argon2__time_cost=1).hash(PASSWORD)))

    assert await at_once(log_in(app.test_client()) for _ in range(6)) == {303: 6}
    assert len(await mails(app, "new_login")) == 6  # each is a security alert


@both_databases
async def test_two_sessions_that_end_each_other_at_once_are_not_both_left(app: Quart) -> None:
    await create_user(app)
    for act, left in ((end_other_sessions, {0, 1}), (change_password, {1})):
        clients = [await enter(app) for _ in range(2)]

        await at_once(map(act, clients))

        assert [await is_logged_in(client) for client in clients].count(True) in left


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


async def revoke_sessions(app: Quart, owner: TestClientProtocol, by: str) -> Response:
    """Do what ends the sessions of the owner: press an e-mailed link, unless it is something else."""
    match by:
        case "change":
            return await change_password(owner)
        case "deletion":
            return await delete_account(owner)
        case "deactivation":
            await write(app, users.deactivate, email=EMAIL)
            return await owner.post("/account")
    return await press(app.test_client(), await mailed_link(app, TokenPurpose(by)))


@both_databases
@pytest.mark.parametrize("by", ["change", "deletion", "deactivation", "reset", "not-me", "undo-email", "confirm"])
async def test_logins_that_race_a_revocation_do_not_survive_it(confirmable: Quart, by: str) -> None:
    app, owner = confirmable, await join(confirmable)
    browsers = [app.test_client() for _ in range(8)]

    revoked, *logins = await asyncio.gather(revoke_sessions(app, owner, by), *map(log_in, browsers))

    assert revoked.status_code == 303
    assert {response.status_code for response in logins} <= {303, 422}
    assert not any([await is_logged_in(browser) for browser in browsers])
    assert await count(app, UserSession) == (by == "change")  # the session in which it was changed


@both_databases
async def test_a_reauthentication_that_races_a_revocation_is_void(app: Quart, frozen_clock: FrozenClock) -> None:
    await create_user(app)
    for revoke in (end_other_sessions, change_password):
        client, other = await enter(app), await enter(app)

        await at_once([client.post("/verify", form={"password": PASSWORD}), revoke(other)])

        assert not await is_logged_in(client)
        assert await is_logged_in(other)
        assert await scalars(app, select(UserSession.authenticated_on)) == [frozen_clock.now()]


@both_databases
async def test_requests_that_race_the_end_of_their_session_do_not_bring_it_back(
    app: Quart, frozen_clock: FrozenClock
) -> None:
    await create_user(app)
    there, here = await enter(app), await enter(app)
    ended = min(await scalars(app, select(UserSession.id)))
    frozen_clock.forward(timedelta(minutes=2))  # so the requests would write that the session was seen

    ends = [browser.post(f"/sessions/{ended}/end") for browser in copies(app, here, 4)]
    await asyncio.gather(*map(page, copies(app, there, 4)), *ends)

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
    earlier = update(UserToken).where(UserToken.email == "third@example.com")
    await execute(app, earlier.values(email=EMAIL, email_key=EMAIL))
    await request_change(ada, NEW_EMAIL)
    adas = await link(app, "change_email", to=NEW_EMAIL)

    others = [app.test_client() for _ in range(4)]
    assert await at_once([ada.post(adas), bob.post(bobs), *map(register, others)]) == {303: 1, 404: 1, 422: 4}
    assert {*await emails_of_users(app)} == {NEW_EMAIL, BOB}

    undo = await link(app, "email_changed", to=EMAIL)
    assert await at_once([*map(register, others), app.test_client().post(undo)]) == {303: 1, 422: 4}
    assert {*await emails_of_users(app)} == {EMAIL, BOB}


# While an account is deleted

FORM = TYPED | {"password": PASSWORD, "password_confirm": PASSWORD, "name": "Ada"}
OF_ITS_USER = ("/account", "/logout", "/sessions/end-others", "/verify", "/change", "/change-email", "/account/delete")


async def requests_around_a_confirmed_account(app: Quart) -> list[Awaitable[Response]]:
    """Return requests of its user, presses of all its links, and requests of other clients."""
    client, links = await join(app), await mailed_links(app)
    (session_id,) = await scalars(app, select(UserSession.id))
    paths = [*OF_ITS_USER, f"/sessions/{session_id}/end"]
    requests = [client.post(path, form=FORM | {"email": NEW_EMAIL}) for path in paths]
    requests += [app.test_client().post(path, form=FORM | {"email": EMAIL}) for path in ("/login", "/reset")]
    return [*requests, *(press(app.test_client(), path) for path in links.values())]


async def requests_around_an_unconfirmed_account(app: Quart) -> list[Awaitable[Response]]:
    await create_user(app)
    return [app.test_client().post(path, form=FORM | {"email": EMAIL}) for path in ("/register", "/confirm")]


@both_databases
@pytest.mark.parametrize("arrange", [requests_around_a_confirmed_account, requests_around_an_unconfirmed_account])
async def test_requests_during_the_deletion_of_an_account_bring_nothing_back(
    confirmable: Quart, log: pytest.LogCaptureFixture, arrange: Callable[[Quart], Awaitable[list[Awaitable[Response]]]]
) -> None:
    await confirmable.extensions["mail_worker"].stop()
    requests = await arrange(confirmable)
    (user_id,) = await scalars(confirmable, select(User.id))

    async with AsyncSession(confirmable.extensions["db"]) as session, session.begin():
        await session.connection()
        async with confirmable.app_context():
            await account_deletion.delete_by_email(session, email=EMAIL)
        sent = asyncio.ensure_future(at_once(requests))
        await asyncio.wait({sent}, timeout=0.7)  # less than the timeout of a lock

    assert set(await sent) <= {303, 404, 422}
    columns = [table.c.user_id for table in Base.metadata.sorted_tables if "user_id" in table.columns]
    for column in (User.id, *columns):
        assert await scalars(confirmable, select(column).where(column == user_id)) == []
    of_a_new_account = {"confirm"} if arrange == requests_around_an_unconfirmed_account else set()
    assert {mail.template for mail in await mails(confirmable)} - of_a_new_account == {"account_deleted"}
    assert "unhandled_error" not in log.text
