"""A reauthentication needs the password and a code."""

from datetime import timedelta

from quart import Quart

from app.features.second_factor.models import SecondFactor
from app.features.second_factor.tests.authenticator import TOTP, Phone, enter_code, password_entered, reauthenticate
from support.actions import change_password, count, error_beside, page
from support.app import both_databases
from support.email_links import events
from support.frozen_clock import FrozenClock
from support.mail_helpers import mails


@both_databases
async def test_a_reauthentication_needs_the_password_and_the_code(
    app: Quart, phone: Phone, frozen_clock: FrozenClock
) -> None:
    client = await password_entered(app)
    await enter_code(client, phone.code())
    frozen_clock.forward(timedelta(minutes=30))
    assert 'name="code"' in await page(client, "/verify")

    both = "The password or the code is wrong."
    assert await error_beside(await reauthenticate(client, phone.wrong_code()), "password") == both
    assert await error_beside(await reauthenticate(client, phone.code(), "wrong horse"), "password") == both
    assert await error_beside(await reauthenticate(client, ""), "code") == "Enter the code."
    assert (await client.get(TOTP)).location.startswith("/verify")
    assert (await reauthenticate(client, phone.code())).status_code == 303
    assert (await client.get(TOTP)).location == "/account/second-factor"
    assert (await reauthenticate(client, phone.code())).status_code == 422  # used
    assert (await reauthenticate(client, phone.recovery_codes[0])).status_code == 303
    assert [await events(app, "recovery_code_used"), len(await mails(app, "second_factor_changed"))] == [1, 1]


async def test_a_password_change_does_not_reauthenticate(app: Quart, phone: Phone, frozen_clock: FrozenClock) -> None:
    client = await password_entered(app)
    await enter_code(client, phone.code())
    frozen_clock.forward(timedelta(hours=1))

    assert (await change_password(client)).status_code == 303
    assert (await client.post(f"{TOTP}/remove")).location.startswith("/verify")
    assert await count(app, SecondFactor) == 1
