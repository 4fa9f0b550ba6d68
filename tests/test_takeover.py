"""What an attacker with the session of a user can make final, and what a tab of one user does to the next."""

from datetime import timedelta
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import select

from app.lib import email_address, logs
from app.lib.logs import ConsoleLine
from app.models import Email, User, UserSession
from app.services import sessions
from support.actions import EMAIL, PASSWORD, count, enter, is_logged_in, log_in, owner_on, register, scalars, write
from support.app import both_databases
from support.email_links import NEW_EMAIL, NEW_PASSWORD, TYPED
from support.frozen_clock import FrozenClock
from support.mail_helpers import follow, link
from support.outbox import deliver

BOB = "bob@example.com"


async def take_over(app: Quart, attacker: TestClientProtocol) -> str:
    """Change the e-mail address and reset the password with it, and return the link that undoes this."""
    await attacker.post("/change-email", form={"email": NEW_EMAIL})
    await follow(attacker, await link(app, "change_email"))
    undo = await link(app, "email_changed")
    await attacker.post("/reset", form={"email": NEW_EMAIL})
    await follow(attacker, await link(app, "reset"), **TYPED)
    await log_in(attacker, email=NEW_EMAIL, password=NEW_PASSWORD)
    return undo


@both_databases
async def test_an_attacker_with_a_session_cannot_delete_the_account_for_good(
    app: Quart, client: TestClientProtocol
) -> None:
    await register(client)
    undo = await take_over(app, client)

    response = await client.post("/account/delete", form={"password": NEW_PASSWORD})
    assert response.status_code == 422
    assert "You can delete the account after" in await response.get_data(as_text=True)
    assert await follow(app.test_client(), undo) == 303
    assert await scalars(app, select(User.email)) == [EMAIL]
    assert not await is_logged_in(client)


async def test_a_week_after_a_change_of_the_email_address_the_account_can_be_deleted(
    app: Quart, client: TestClientProtocol, frozen_clock: FrozenClock
) -> None:
    await register(client)
    await take_over(app, client)
    frozen_clock.forward(timedelta(days=8))
    await log_in(client, email=NEW_EMAIL, password=NEW_PASSWORD)

    assert (await client.post("/account/delete", form={"password": NEW_PASSWORD})).status_code == 303
    assert await count(app, User) == 0


@pytest.mark.usefixtures("three_languages")
async def test_a_tab_of_one_user_ends_no_session_of_the_next_user(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    await enter(app)  # so that the page has a form
    owner = await owner_on(client, "/sessions")
    await client.post("/logout")
    await register(client, email=BOB)
    await enter(app, email=BOB)
    before = await count(app, UserSession)

    for path in ("/sessions/end-others", "/sessions/1/end"):
        response = await client.post(path, form={"owner": owner})
        assert response.status_code == 303
    assert await count(app, UserSession) == before
    await client.post("/language", form={"language": "de", "owner": owner})
    assert set(await scalars(app, select(User.language))) == {"en"}


async def test_a_password_makes_no_session_of_another_user_fresh(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    (row,) = await scalars(app, select(UserSession))
    await write(app, sessions.mark_reauthenticated, row.id, user_id=row.user_id + 1)

    assert await scalars(app, select(UserSession.authenticated_on)) == [row.authenticated_on]


def test_a_domain_that_is_too_long_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """IDNA takes 50 ms for it. The key is computed before any limit, so it must be cheap."""

    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("validated")

    monkeypatch.setattr(email_address, "validate_email", fail)
    assert email_address.email_key("a@" + "\U00020000" * 252).startswith("a@%")


async def test_one_recipient_gets_a_few_emails_whichever_account_causes_them(
    app: Quart, client: TestClientProtocol, log: pytest.LogCaptureFixture
) -> None:
    app.config.update({"RATE_LIMIT_EMAILS_PER_ACCOUNT": "3 per hour", "SECURITY_SEND_REGISTER_EMAIL": True})
    for _ in range(6):
        await register(client)
        await deliver(app)
        await client.post("/account/delete", form={"password": PASSWORD})

    assert await count(app, Email, Email.recipient == EMAIL, Email.template == "account_deleted") == 3
    assert log.text.count("subject=Welcome") == 3


def test_no_path_forges_or_colors_a_line_on_the_terminal_of_a_developer(log: pytest.LogCaptureFixture) -> None:
    log.handler.setFormatter(ConsoleLine())
    logs.record("request", method="GET", route="/x\nforged \x1b[31m", status=404, ms=1)

    assert log.text == "GET /x\\x0aforged \\x1b[31m 404 (1 ms)\n"
