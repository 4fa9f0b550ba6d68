"""Which flows of an account remove its second factor."""

import pytest
from quart import Quart
from sqlalchemy import update

from app.features.second_factor.models import RecoveryCode, SecondFactor
from app.features.second_factor.tests.authenticator import (
    NEW_PASSWORD,
    Phone,
    confirm,
    enrol,
    enter_code,
    password_entered,
    reset_the_password,
)
from app.models import User
from app.services import credentials
from support.actions import EMAIL, can_log_in, count, create_user, enter, execute
from support.app import both_databases
from support.frozen_clock import FrozenClock
from support.mail_helpers import link


async def test_a_reset_keeps_the_factor_only_if_the_account_is_confirmed(app: Quart, phone: Phone) -> None:
    await reset_the_password(app, app.test_client())
    assert await count(app, SecondFactor) == 1

    await execute(app, update(User).values(confirmed_on=None))
    await reset_the_password(app, app.test_client())
    assert [await count(app, table) for table in (SecondFactor, RecoveryCode)] == [0, 0]
    assert await can_log_in(app, password=NEW_PASSWORD)


@both_databases
@pytest.mark.usefixtures("phone")
async def test_a_password_from_an_operator_keeps_the_factor_only_if_the_account_is_confirmed(app: Quart) -> None:
    async with app.app_context():
        await credentials.set_password(EMAIL, NEW_PASSWORD)
        assert await count(app, SecondFactor) == 1
        await execute(app, update(User).values(confirmed_on=None))
        await credentials.set_password(EMAIL, NEW_PASSWORD)

    assert [await count(app, table) for table in (SecondFactor, RecoveryCode)] == [0, 0]


@both_databases
async def test_not_me_keeps_a_factor_that_is_older_than_the_alert(app: Quart, phone: Phone) -> None:
    await enter_code(await password_entered(app), phone.code())

    await app.test_client().post(await link(app, "new_login"))

    assert [await count(app, table) for table in (SecondFactor, RecoveryCode)] == [1, 10]


@both_databases
async def test_not_me_removes_a_factor_that_an_attacker_enrolled(app: Quart, frozen_clock: FrozenClock) -> None:
    await app.extensions["mail_worker"].stop()
    await create_user(app)
    await confirm(app)
    await enrol(await enter(app))

    await app.test_client().post(await link(app, "second_factor_changed"))

    assert [await count(app, table) for table in (SecondFactor, RecoveryCode)] == [0, 0]
