"""A client that has the password and the e-mails of a user, but no code, gets no session."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from quart import Quart, Response
from quart.typing import TestClientProtocol
from sqlalchemy import update

from app.features.second_factor.tests.authenticator import (
    LOGIN,
    NEW_PASSWORD,
    Phone,
    confirm,
    enrol,
    enter_code,
    reauthenticate,
    report_the_login,
    reset_the_password,
)
from app.models import User
from app.services import users
from support.actions import EMAIL, PASSWORD, execute, is_logged_in, log_in, register, write
from support.frozen_clock import FrozenClock
from support.mail_helpers import link

# Attempts to start a session, by a client that has the password and the e-mails, but no code.


async def by_a_reset(app: Quart, client: TestClientProtocol) -> Response:
    await reset_the_password(app, client)
    return await log_in(client, password=NEW_PASSWORD)


async def by_registering_again(app: Quart, client: TestClientProtocol) -> Response:
    return await register(client)


async def by_json(app: Quart, client: TestClientProtocol) -> Any:
    form = {"email": EMAIL, "password": PASSWORD}
    return await client.post("/login", form=form, headers={"Accept": "application/json"})


async def by_a_page_in_a_second_tab(app: Quart, client: TestClientProtocol) -> Any:
    await log_in(client)
    return await client.get("/account")


async def by_an_empty_code(app: Quart, client: TestClientProtocol) -> Response:
    await log_in(client)
    return await enter_code(client, "")


async def by_the_reauthentication(app: Quart, client: TestClientProtocol) -> Response:
    await log_in(client)
    return await reauthenticate(client, "")


async def by_reporting_the_login(app: Quart, client: TestClientProtocol) -> Response:
    await report_the_login(app, client)
    form = {"new_password": NEW_PASSWORD, "new_password_confirm": NEW_PASSWORD}
    await client.post(await link(app, "reset"), form=form)
    return await log_in(client, password=NEW_PASSWORD)


async def by_a_confirmation_at_the_command_line(app: Quart, client: TestClientProtocol) -> Response:
    await execute(app, update(User).values(confirmed_on=None))
    await write(app, confirm_by_email)
    return await log_in(client)


async def confirm_by_email(session: Any) -> None:
    await users.confirm(session, email=EMAIL)


@pytest.mark.parametrize(
    "way",
    [
        by_a_reset,
        by_registering_again,
        by_json,
        by_a_page_in_a_second_tab,
        by_an_empty_code,
        by_the_reauthentication,
        by_reporting_the_login,
        by_a_confirmation_at_the_command_line,
    ],
)
async def test_a_client_without_a_code_gets_no_session(
    app: Quart, phone: Phone, way: Callable[[Quart, TestClientProtocol], Awaitable[Any]]
) -> None:
    before = app.test_client()
    await log_in(before)
    await enter_code(before, phone.code())
    client = app.test_client()

    await way(app, client)

    assert not await is_logged_in(client)
    assert (await client.get("/account")).location.startswith("/login")


async def test_a_repeated_registration_needs_the_code(app: Quart, frozen_clock: FrozenClock) -> None:
    client = app.test_client()
    await register(client)
    await confirm(app)
    await enrol(client)

    again = app.test_client()
    assert (await register(again)).location == LOGIN
    assert not await is_logged_in(again)
