"""Several machines: their clocks differ by seconds, and the ids of their rows contradict the times."""

from datetime import timedelta
from typing import Any

import pytest
from quart import Quart
from sqlalchemy import case, select, update

from app.lib import clock
from app.models import Email, UserEvent, UserToken
from app.services import audit_log, outbox, sessions
from support.actions import EMAIL, create_user, emails_of_users, enter, execute, is_logged_in, log_in, read, scalars
from support.app import DEFAULTS, both_databases, serving
from support.email_links import join
from support.frozen_clock import FrozenClock
from support.mail_helpers import follow, link

NEW, THIRD = "lovelace@example.com", "countess@example.com"
DIFFERENCE = timedelta(seconds=3)
MINUTE = timedelta(minutes=1)


@both_databases
@pytest.mark.parametrize("difference", [-DIFFERENCE, DIFFERENCE])
async def test_a_machine_whose_clock_differs_allows_no_further_guess(
    settings: dict[str, Any], frozen_clock: FrozenClock, difference: timedelta
) -> None:
    limit = DEFAULTS["RATE_LIMIT_WRONG_PASSWORDS_PER_ACCOUNT"]
    async with serving(settings | {"RATE_LIMIT_WRONG_PASSWORDS_PER_ACCOUNT": limit}) as app:
        await create_user(app)
        client = app.test_client()
        statuses = [(await log_in(client, password="wrong horse")).status_code for _ in range(5)]
        frozen_clock.forward(difference)

        assert statuses == [422] * 5
        assert (await log_in(client, password="wrong horse")).status_code == 429


@both_databases
async def test_an_attacker_who_undoes_first_on_a_machine_that_is_behind_loses_to_the_owner(
    app: Quart, frozen_clock: FrozenClock
) -> None:
    attacker = await join(app)
    for email in (NEW, THIRD):
        assert (await attacker.post("/change-email", form={"email": email})).status_code == 303
        assert await follow(attacker, await link(app, "change_email", to=email)) == 303
        frozen_clock.forward(-DIFFERENCE)
    owners, attackers = [await link(app, "email_changed", to=email) for email in (EMAIL, NEW)]

    assert await follow(app.test_client(), attackers) == 303
    assert await emails_of_users(app) == [NEW]
    assert await follow(app.test_client(), owners) == 303
    assert await emails_of_users(app) == [EMAIL]


# Ids that contradict the times


@both_databases
async def test_undoing_the_later_change_leaves_the_earlier_token_whatever_its_id(app: Quart) -> None:
    attacker = await join(app)
    for email in (NEW, THIRD):
        await attacker.post("/change-email", form={"email": email})
        assert await follow(attacker, await link(app, "change_email", to=email)) == 303
    owners, attackers = [await link(app, "email_changed", to=email) for email in (EMAIL, NEW)]
    is_owners = UserToken.email == EMAIL
    await execute(app, update(UserToken).where(is_owners).values(id=1_000_000, created_on=clock.now() - MINUTE))

    assert await follow(app.test_client(), attackers) == 303
    assert await follow(app.test_client(), owners) == 303
    assert await emails_of_users(app) == [EMAIL]


@both_databases
async def test_the_session_that_began_first_ends_whatever_its_id(
    app: Quart, frozen_clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MAX_SESSIONS", 2)
    await create_user(app)
    browsers = []
    for step in (MINUTE, -MINUTE, MINUTE):
        frozen_clock.forward(step)
        browsers.append(await enter(app))

    assert [await is_logged_in(browser) for browser in browsers] == [True, False, True]


@both_databases
async def test_events_and_emails_are_listed_by_time_whatever_their_ids(app: Quart, frozen_clock: FrozenClock) -> None:
    user = await create_user(app)
    await app.extensions["mail_worker"].stop()
    for _ in range(3):
        await enter(app)
    lists: dict[Any, Any] = {UserEvent: audit_log.list_recent, Email: outbox.list_of}
    for table, list_of in lists.items():
        first, second, third = await scalars(app, select(table.id).order_by(table.id))
        times = {first: clock.now(), second: clock.now() + MINUTE, third: clock.now() - MINUTE}
        await execute(app, update(table).values(created_on=case(times, value=table.id)))

        expected = [second, first, third]
        assert [row.id for row in await read(app, list_of, user_id=user.id)] == expected
    assert [row.id for row in await read(app, outbox.list_undelivered)] == expected
