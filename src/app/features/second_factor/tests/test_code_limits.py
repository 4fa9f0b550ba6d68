"""Wrong codes are limited for each pending login and for the account."""

from datetime import timedelta
from typing import Any

from quart import Quart

from app.features.second_factor import login_attempts
from app.features.second_factor.models import LoginAttempt
from app.features.second_factor.tests.authenticator import (
    LOGIN,
    Phone,
    enrolled_user,
    enter_code,
    password_entered,
    reauthenticate,
)
from support.actions import at_once, count, is_logged_in, page
from support.app import serving
from support.email_links import events
from support.frozen_clock import FrozenClock
from support.mail_helpers import mails


async def test_five_attempts_end_a_pending_login_even_if_they_are_simultaneous(app: Quart, phone: Phone) -> None:
    client = await password_entered(app)

    statuses = await at_once(enter_code(client, phone.wrong_code()) for _ in range(12))
    assert statuses[422] <= login_attempts.MAX_TRIES
    assert (await enter_code(client, phone.code())).location == "/login"
    assert (await client.get(LOGIN)).location == "/login"
    assert not await is_logged_in(client)


async def test_guesses_are_limited_for_the_account_over_all_pending_logins(settings: dict[str, Any]) -> None:
    async with serving(settings | {"RATE_LIMIT_WRONG_CODES_PER_ACCOUNT": "7 per hour"}) as app:
        await app.extensions["mail_worker"].stop()
        phone = await enrolled_user(app)
        ada = await password_entered(app)
        assert (await enter_code(ada, phone.code())).status_code == 303

        guessed = [await password_entered(app) for _ in range(8)]
        wrong = [phone.wrong_code(), "01-AAAAA-AAAAA"] * 4
        guesses = enumerate(zip(guessed, wrong, strict=True))
        responses = [await enter_code(client, code, ip=f"192.0.2.{number}") for number, (client, code) in guesses]
        assert [response.status_code for response in responses] == [422] * 7 + [429]
        assert (await enter_code(await password_entered(app), phone.recovery_codes[1])).status_code == 429
        assert (await reauthenticate(ada, phone.code(1))).status_code == 429
        alerts = await mails(app, "second_factor_wrong_codes")
        assert len(alerts) == 2  # after three, and after six
        assert await events(app, "second_factor_failed") == 7


async def test_a_right_code_ends_a_series_of_wrong_ones(app: Quart, phone: Phone) -> None:
    client = await password_entered(app)
    for code in (phone.wrong_code(), phone.wrong_code(), phone.code()):
        await enter_code(client, code)
    await enter_code(await password_entered(app), phone.wrong_code())

    assert await mails(app, "second_factor_wrong_codes") == []


async def test_a_pending_login_expires_after_five_minutes(app: Quart, phone: Phone, frozen_clock: FrozenClock) -> None:
    client = await password_entered(app)
    frozen_clock.forward(timedelta(minutes=5))

    assert (await enter_code(client, phone.code())).location == "/login"
    assert "The login has expired." in await page(client, "/login")


async def test_an_account_has_at_most_ten_pending_logins(app: Quart, phone: Phone) -> None:
    oldest = await password_entered(app)
    for _ in range(login_attempts.MAX_ATTEMPTS):
        newest = await password_entered(app)

    assert await count(app, LoginAttempt) == login_attempts.MAX_ATTEMPTS
    assert (await enter_code(oldest, phone.code())).location == "/login"
    assert (await enter_code(newest, phone.code())).location == "/"
