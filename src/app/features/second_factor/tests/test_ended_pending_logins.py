"""Revoking the access of an account ends its pending logins."""

from collections.abc import Awaitable, Callable

import pytest
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import update

from app.features.second_factor import enrolment
from app.features.second_factor.tests.authenticator import (
    Phone,
    enter_code,
    password_entered,
    report_the_login,
    reset_the_password,
)
from app.models import User
from app.services import credentials, users
from support.actions import EMAIL, change_password, execute, is_logged_in, write
from support.app import both_databases


async def change_the_password(app: Quart, ada: TestClientProtocol) -> None:
    assert (await change_password(ada)).status_code == 303


async def deactivate(app: Quart, ada: TestClientProtocol) -> None:
    await write(app, users.deactivate, email=EMAIL)
    await write(app, users.activate, email=EMAIL)


async def end_sessions(app: Quart, ada: TestClientProtocol) -> None:
    await write(app, credentials.end_sessions, email=EMAIL)


async def reset_the_factor(app: Quart, ada: TestClientProtocol) -> None:
    await write(app, enrolment.reset, email=EMAIL)


async def change_only_the_hash(app: Quart, ada: TestClientProtocol) -> None:
    await execute(app, update(User).values(password="$argon2id$another"))


@both_databases
@pytest.mark.parametrize(
    "between",
    [
        change_the_password,
        reset_the_password,
        report_the_login,
        deactivate,
        end_sessions,
        reset_the_factor,
        change_only_the_hash,
    ],
)
async def test_an_end_of_access_ends_a_pending_login(
    app: Quart, phone: Phone, between: Callable[[Quart, TestClientProtocol], Awaitable[None]]
) -> None:
    ada, attacker = await password_entered(app), await password_entered(app)
    await enter_code(ada, phone.code())

    await between(app, ada)

    assert (await enter_code(attacker, phone.code(1))).location == "/login"
    assert not await is_logged_in(attacker)
