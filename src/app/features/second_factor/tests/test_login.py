"""Log in with the password and a code."""

import pytest
from quart import Quart
from sqlalchemy import delete, select

from app.features.second_factor import codes, login_attempts
from app.features.second_factor.codes import WrongCode
from app.features.second_factor.models import LoginAttempt, RecoveryCode, SecondFactor
from app.features.second_factor.tests.authenticator import (
    LOGIN,
    STEP,
    Phone,
    enrolled_user,
    enter_code,
    password_entered,
)
from app.lib.db import db
from app.models import UserSession
from app.services import users
from support.actions import EMAIL, at_once, count, error_beside, execute, is_logged_in, log_in, page, scalars
from support.app import both_databases
from support.email_links import events
from support.frozen_clock import FrozenClock
from support.mail_helpers import mails

BOB = "bob@example.com"
WRONG, CLOCK = "The code is wrong.", "The clock of your phone is wrong."


@both_databases
async def test_a_login_needs_the_password_and_the_code(app: Quart, phone: Phone) -> None:
    client = app.test_client()
    assert (await client.get(LOGIN)).location == "/login"
    assert (await enter_code(client, phone.code())).location == "/login"
    assert (await log_in(client, password="wrong horse")).status_code == 422

    assert (await log_in(client, next="/about", remember="y")).location == LOGIN
    assert not await is_logged_in(client)
    assert (await client.get(LOGIN)).status_code == 200
    response = await enter_code(client, phone.code())

    assert response.location == "/about"
    assert await is_logged_in(client)
    assert await scalars(app, select(UserSession.remember)) == [True]
    assert await count(app, LoginAttempt) == 0


@both_databases
async def test_a_code_works_once(app: Quart, phone: Phone, frozen_clock: FrozenClock) -> None:
    waiting = [await password_entered(app) for _ in range(login_attempts.MAX_ATTEMPTS)]

    statuses = await at_once(enter_code(client, phone.code()) for client in waiting * 2)
    assert statuses[422] >= 18  # the second request of the browser that logged in is redirected
    assert await count(app, UserSession) == 1
    frozen_clock.forward(STEP)  # the code of the step before is still accepted, unless it was used
    client = await password_entered(app)
    assert await error_beside(await enter_code(client, phone.code(-1)), "code") == WRONG
    assert (await enter_code(client, phone.code())).status_code == 303
    later = await password_entered(app)
    assert (await enter_code(later, phone.code(-1))).status_code == 422


@both_databases
async def test_a_recovery_code_works_once_and_the_page_shows_how_many_are_left(app: Quart, phone: Phone) -> None:
    waiting = [await password_entered(app) for _ in range(5)]
    code = phone.recovery_codes[6]

    assert (await at_once(enter_code(client, code.lower()) for client in waiting))[303] == 1
    assert [await count(app, UserSession), await count(app, RecoveryCode)] == [1, 9]
    (client,) = [client for client in waiting if await is_logged_in(client)]
    assert "Recovery codes left: 9." in await page(client, "/account/second-factor")
    assert [await events(app, "recovery_code_used"), len(await mails(app, "second_factor_changed"))] == [1, 1]


@both_databases
async def test_a_code_that_is_replaced_during_a_login_is_refused(app: Quart, phone: Phone) -> None:
    ada = await password_entered(app)
    await enter_code(ada, phone.code())
    async with app.app_context():
        user = await db.read(users.get_by_email, email=EMAIL)
        checked = await codes.check(user.id, phone.recovery_codes[0], hits=[])
        await ada.post("/account/second-factor/codes")

        with pytest.raises(WrongCode):
            await db.write(codes.consume, checked)
    assert await count(app, RecoveryCode) == 10


async def test_a_code_may_be_a_step_early_or_late(app: Quart, phone: Phone, frozen_clock: FrozenClock) -> None:
    frozen_clock.forward(STEP * 5)
    for steps, message in ((-11, WRONG), (-10, CLOCK), (-2, CLOCK), (2, CLOCK), (10, CLOCK), (11, WRONG)):
        client = await password_entered(app)
        assert (await error_beside(await enter_code(client, phone.code(steps)), "code")).startswith(message)
    for steps in (-1, 0, 1):
        assert (await enter_code(await password_entered(app), phone.code(steps))).status_code == 303


async def test_the_code_of_another_user_or_of_a_removed_factor_is_wrong(app: Quart, phone: Phone) -> None:
    (factor_id,) = await scalars(app, select(SecondFactor.id))
    other = await enrolled_user(app, BOB)
    client = await password_entered(app)
    assert await error_beside(await enter_code(client, other.code()), "code") == WRONG
    assert await error_beside(await enter_code(client, other.recovery_codes[0]), "code") == WRONG
    bob = await password_entered(app, email=BOB)
    assert await error_beside(await enter_code(bob, phone.recovery_codes[0]), "code") == WRONG
    assert (await enter_code(bob, other.recovery_codes[0])).status_code == 303

    await execute(app, delete(SecondFactor).where(SecondFactor.id == factor_id))
    assert await error_beside(await enter_code(client, phone.code()), "code") == WRONG


async def test_the_code_of_the_enrolment_does_not_log_in(app: Quart, frozen_clock: FrozenClock) -> None:
    phone = await enrolled_user(app)

    assert await error_beside(await enter_code(await password_entered(app), phone.code(-1)), "code") == WRONG


async def test_a_login_with_a_code_makes_the_browser_a_trusted_device(app: Quart, phone: Phone) -> None:
    client = await password_entered(app)
    await enter_code(client, phone.code())
    response = await log_in(client)
    assert all("HttpOnly" in cookie for cookie in response.headers.getlist("Set-Cookie"))
    await enter_code(client, phone.code(1))

    assert len(await mails(app, "new_login")) == 1


async def test_a_recovery_code_with_an_unknown_number_is_hashed_too(
    app: Quart, phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: list[str | None] = []

    async def verify(_password: str, hashed: str | None) -> None:
        stored.append(hashed)

    monkeypatch.setattr(codes, "verify_password", verify)
    await enter_code(await password_entered(app), "99-AAAAA-AAAAA")
    assert stored == [None]
