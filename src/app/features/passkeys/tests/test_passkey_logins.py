"""Log in with a passkey."""

from datetime import timedelta
from typing import Any

from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import select

from app.features.passkeys.models import Passkey
from app.features.passkeys.tests.authenticator import (
    PAGE,
    SEEN,
    SYNCED,
    Authenticator,
    added,
    code_of,
    options_of,
    send,
    use,
)
from app.models import UserSession
from app.services import users
from app.services.extension_points import PendingLogin
from support.actions import EMAIL, at_once, count, create_user, enter, is_logged_in, log_in, page, scalars, write
from support.app import both_databases, serving
from support.email_links import events
from support.frozen_clock import FrozenClock
from support.mail_helpers import mails
from support.statements import kind, sent_statements

LOGIN = "/login/passkey"


@both_databases
async def test_a_user_logs_in_with_a_passkey_and_without_another_step(
    app: Quart, client: TestClientProtocol, laptop: Authenticator
) -> None:
    async def never(*_: Any) -> PendingLogin:
        raise AssertionError

    app.extensions["extension_points"].login_steps.append(never)
    response = await send(client, LOGIN, laptop.get(await options_of(client, LOGIN)), next="/account", remember=True)

    assert (response.status_code, await response.get_json()) == (200, {"next": "/account"})
    assert "Max-Age" in response.headers["Set-Cookie"] or "Expires" in response.headers["Set-Cookie"]
    assert await is_logged_in(client)
    assert await events(app, "logged_in") == 2
    assert len(await mails(app, "new_login")) == 2  # the browser is new, and trusted from now on
    await use(client, laptop)
    assert len(await mails(app, "new_login")) == 2
    assert (await scalars(app, select(Passkey.sign_count)), await count(app, UserSession)) == ([3], 2)


@both_databases
async def test_a_challenge_is_valid_for_five_minutes_and_one_login(
    app: Quart, client: TestClientProtocol, laptop: Authenticator, frozen_clock: FrozenClock
) -> None:
    phone = await added(await enter(app), flags=SEEN | SYNCED)  # its sign count does not refuse a replay
    early, late, last = [phone.get(await options_of(client, LOGIN)) for _ in range(3)]
    assert (await send(client, LOGIN, early)).status_code == 200
    assert await code_of(await send(client, LOGIN, early)) == "passkey_refused"

    frozen_clock.forward(timedelta(seconds=299))
    assert (await at_once(send(app.test_client(), LOGIN, last) for _ in range(20)))[200] == 1
    assert await code_of(await send(client, LOGIN, early)) == "passkey_refused"
    frozen_clock.forward(timedelta(seconds=1))
    assert await code_of(await send(client, LOGIN, late)) == "challenge_expired"
    assert await count(app, UserSession) == 4


@both_databases
async def test_a_user_who_may_not_log_in_cannot_do_so_with_a_passkey(
    app: Quart, client: TestClientProtocol, laptop: Authenticator
) -> None:
    await write(app, users.deactivate, email=EMAIL)
    assert await code_of(await use(client, laptop)) == "passkey_refused"
    await write(app, users.activate, email=EMAIL)
    app.config["SECURITY_CONFIRMABLE"] = True
    assert await code_of(await use(client, laptop)) == "passkey_refused"
    app.config["SECURITY_CONFIRMABLE"] = False
    assert (await use(client, laptop)).status_code == 200

    (id_,) = await scalars(app, select(Passkey.id))
    await client.post(f"{PAGE}/{id_}/remove")
    assert await code_of(await use(app.test_client(), laptop)) == "unknown_passkey"


async def test_an_anonymous_client_writes_only_to_the_rate_limits(
    settings: dict[str, Any], frozen_clock: FrozenClock
) -> None:
    async with serving(settings | {"RATE_LIMIT_LOGINS_PER_IP": "5 per minute"}) as app:
        await app.extensions["mail_worker"].stop()
        await create_user(app)
        laptop, client = await added(await enter(app)), app.test_client()
        with sent_statements(app) as sent:
            options = await options_of(client, LOGIN)
            assert "Log in with a passkey" in await page(client, "/login")
            assert sent == []
            statuses = [(await send(client, LOGIN, laptop.get(options, flags=0))).status_code for _ in range(6)]
            written = {kind(each).split()[1] for each in sent if each.startswith(("INSERT", "UPDATE", "DELETE"))}

        assert statuses == [422] * 3 + [429] * 3  # the first hits were the login and the new passkey
        assert written == {"throttle"}


async def test_a_user_with_a_passkey_can_log_in_with_the_password(app: Quart, laptop: Authenticator) -> None:
    client = app.test_client()
    assert (await log_in(client)).status_code == 303
    assert (await use(client, laptop)).status_code == 200  # replaces the session
    assert await count(app, UserSession) == 2
