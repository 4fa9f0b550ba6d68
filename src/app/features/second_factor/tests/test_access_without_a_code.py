"""A client without a code gets no session, and revoking the access of an account ends its pending logins."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from quart import Quart, Response
from quart.typing import TestClientProtocol
from sqlalchemy import select, update

from app.features.second_factor import enrolment
from app.features.second_factor.models import RecoveryCode, SecondFactor
from app.features.second_factor.tests.authenticator import (
    LOGIN,
    TOTP,
    Phone,
    confirm,
    enrol,
    enter_code,
    password_entered,
    reauthenticate,
)
from app.models import User
from app.services import credentials, users
from support.actions import (
    EMAIL,
    PASSWORD,
    can_log_in,
    change_password,
    count,
    create_user,
    enter,
    error_beside,
    execute,
    is_logged_in,
    log_in,
    page,
    register,
    scalars,
    write,
)
from support.app import both_databases
from support.email_links import events
from support.frozen_clock import FrozenClock
from support.mail_helpers import link, mails

WRONG = "The code is wrong."
NEW = "another horse battery staple"


async def change_the_password(app: Quart, ada: TestClientProtocol) -> None:
    assert (await change_password(ada)).status_code == 303


async def reset_the_password(app: Quart, ada: TestClientProtocol) -> None:
    await app.test_client().post("/reset", form={"email": EMAIL})
    reset = await app.test_client().post(
        await link(app, "reset"), form={"new_password": NEW, "new_password_confirm": NEW}
    )
    assert reset.location == "/login"


async def report_the_login(app: Quart, ada: TestClientProtocol) -> None:
    assert (await app.test_client().post(await link(app, "new_login"))).status_code == 303


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


# Attempts to start a session, by a client that has the password and the e-mails, but no code.


async def by_a_reset(app: Quart, client: TestClientProtocol) -> Response:
    await reset_the_password(app, client)
    return await log_in(client, password=NEW)


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
    form = {"new_password": NEW, "new_password_confirm": NEW}
    await client.post(await link(app, "reset"), form=form)
    return await log_in(client, password=NEW)


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


async def test_a_reset_keeps_the_factor_only_if_the_account_is_confirmed(app: Quart, phone: Phone) -> None:
    await reset_the_password(app, app.test_client())
    assert await count(app, SecondFactor) == 1

    await execute(app, update(User).values(confirmed_on=None))
    await reset_the_password(app, app.test_client())
    assert [await count(app, table) for table in (SecondFactor, RecoveryCode)] == [0, 0]
    assert await can_log_in(app, password=NEW)


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


async def test_recovery_codes_work_after_the_secret_key_is_lost(
    app: Quart, phone: Phone, log: pytest.LogCaptureFixture
) -> None:
    await execute(app, update(SecondFactor).values(secret="gAAAA with another key"))
    client = await password_entered(app)

    assert await error_beside(await enter_code(client, phone.code()), "code") == WRONG
    assert "second_factor_undecryptable" in log.text
    assert (await enter_code(client, phone.recovery_codes[0])).status_code == 303


async def test_a_secret_is_encrypted_again_when_it_is_used(app: Quart, phone: Phone) -> None:
    (before,) = await scalars(app, select(SecondFactor.secret))
    app.config["SECRET_KEY_FALLBACKS"] = (app.config["SECRET_KEY"],)
    app.config["SECRET_KEY"] = "a newer key that is long enough for the site"

    assert (await enter_code(await password_entered(app), phone.code())).status_code == 303
    assert await scalars(app, select(SecondFactor.secret)) != [before]
    app.config["SECRET_KEY_FALLBACKS"] = ()
    assert (await enter_code(await password_entered(app), phone.code(1))).status_code == 303


async def test_a_repeated_registration_needs_the_code(app: Quart, frozen_clock: FrozenClock) -> None:
    client = app.test_client()
    await register(client)
    await confirm(app)
    await enrol(client)

    again = app.test_client()
    assert (await register(again)).location == LOGIN
    assert not await is_logged_in(again)
