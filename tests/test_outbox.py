"""The outbox: what is enqueued, who delivers it and how often, and what is kept of it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.lib import clock
from app.mail import worker
from app.models import Email, User
from app.models.user_token import TokenPurpose
from app.services import expiry, outbox
from app.services.client import COMMAND_LINE
from app.services.outbox import EmailedToken
from support.actions import EMAIL, create_user, execute, write
from support.app import both_databases, serving
from support.frozen_clock import FrozenClock
from support.mail_helpers import mails
from support.outbox import FACTS, PUBLIC, comes_to, deliver, is_logged, post, serving_still, states
from support.smtp_server import OK, MailServer

BACKOFF_MINUTES = [1, 2, 4, 8, 16, 32, 60, 60, 60]
LATER = "450 4.2.1 try later"
SECRET = "a-secret-of-a-link"
SECOND = timedelta(seconds=1)


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer().running() as running:
        yield running


@pytest.fixture
def settings(settings: dict[str, Any], server: MailServer) -> dict[str, Any]:
    return settings | server.settings


@pytest.fixture
async def app(settings: dict[str, Any]) -> AsyncIterator[Quart]:
    async with serving_still(settings) as app:
        yield app


async def claim(app: Quart) -> Email:
    """Claim the e-mail in the outbox, as a worker does that then dies."""
    (mail,) = await mails(app)
    claimed = await write(app, outbox.claim, mail.id, tries=mail.tries)
    assert isinstance(claimed, Email)
    return claimed


async def test_a_transaction_that_is_rolled_back_leaves_no_email(app: Quart) -> None:
    async def fail(session: AsyncSession) -> None:
        await outbox.enqueue(session, "test", User(id=7, email=EMAIL), client=COMMAND_LINE)
        await session.flush()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await write(app, fail)

    assert await mails(app) == []


async def test_an_email_goes_to_the_email_address_that_the_account_had_then(
    app: Quart, client: TestClientProtocol, server: MailServer
) -> None:
    await create_user(app)
    await client.post("/reset", form={"email": EMAIL})
    await execute(app, text("UPDATE user SET email = 'eve@example.com', email_key = 'eve@example.com'"))
    await deliver(app)

    assert [envelope.rcpt_tos for envelope in server.envelopes] == [[EMAIL]]


async def test_an_email_is_retried_after_a_minute_then_two_then_four_up_to_an_hour(
    app: Quart, server: MailServer, frozen_clock: FrozenClock
) -> None:
    server.to_recipient = LATER
    await post(app)

    for minutes in BACKOFF_MINUTES:
        assert await deliver(app) == 1
        frozen_clock.forward(timedelta(minutes=minutes) - SECOND)
        assert await deliver(app) == 0
        frozen_clock.forward(SECOND)

    server.to_recipient = OK
    assert await deliver(app) == 1
    assert await states(app) == [("sent", len(BACKOFF_MINUTES) + 1)]


@both_databases
@pytest.mark.parametrize("token", [EmailedToken(TokenPurpose.RESET, SECRET, timedelta(hours=1)), None])
async def test_an_email_is_retried_for_five_days_or_until_its_link_expires(
    app: Quart, server: MailServer, frozen_clock: FrozenClock, token: EmailedToken | None
) -> None:
    for _ in range(2):
        await post(app, "reset" if token else "test", token=token)
    frozen_clock.forward((token.lifetime if token else timedelta(days=5)) - SECOND)
    server.to_recipient = LATER
    assert await deliver(app) == 2
    await execute(app, text("UPDATE mail SET due_on = created_on"))
    server.to_recipient = OK
    frozen_clock.forward(SECOND)

    assert await deliver(app) == 0
    assert server.envelopes == []
    await write(app, expiry.purge_expired)
    assert await mails(app) == []


@both_databases
async def test_a_sent_email_keeps_neither_link_nor_content_and_is_purged_after_a_week(
    app: Quart, server: MailServer, frozen_clock: FrozenClock
) -> None:
    server.to_recipient = LATER
    await post(app, "new_login", facts=FACTS, token=EmailedToken(TokenPurpose.NOT_ME, SECRET, timedelta(days=7)))
    await deliver(app)
    server.to_recipient = OK
    frozen_clock.forward(timedelta(days=1))
    await deliver(app)

    (mail,) = await mails(app)
    assert (mail.state, mail.sent_on, mail.due_on) == ("sent", clock.now(), None)
    assert (mail.secret, mail.facts, mail.error) == (None, {}, None)
    for step, left in [(timedelta(days=7) - SECOND, 1), (SECOND, 0)]:
        frozen_clock.forward(step)
        await write(app, expiry.purge_expired)
        assert len(await mails(app)) == left


@both_databases
async def test_of_many_simultaneous_claims_one_succeeds(app: Quart) -> None:
    await post(app)
    (mail,) = await mails(app)

    claimed = await asyncio.gather(*(write(app, outbox.claim, mail.id, tries=0) for _ in range(8)))

    assert [mail.tries for mail in claimed if mail is not None] == [1]


@both_databases
async def test_two_workers_send_each_email_once(
    settings: dict[str, Any], server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "POLL_INTERVAL_SECONDS", 0.05)
    async with serving(settings) as one, serving(settings) as other:
        for number in range(12):
            await post(one if number % 2 else other, to=f"user-{number}@example.com")
        found = await comes_to(one, "sent")

    assert len(found) == len(server.envelopes) == 12
    assert {mail.tries for mail in found} == {1}


async def test_an_email_that_a_dead_worker_claimed_is_due_again_after_two_minutes(
    app: Quart, server: MailServer, frozen_clock: FrozenClock
) -> None:
    await post(app)
    await claim(app)

    frozen_clock.forward(timedelta(minutes=2) - SECOND)
    assert await deliver(app) == 0
    frozen_clock.forward(SECOND)
    assert await deliver(app) == 1
    assert (await states(app), len(server.envelopes)) == ([("sent", 2)], 1)


@pytest.mark.parametrize("outcome", [outbox.mark_sent, outbox.reschedule, outbox.mark_failed])
async def test_a_worker_whose_claim_has_expired_changes_nothing(
    app: Quart, frozen_clock: FrozenClock, outcome: Any
) -> None:
    await post(app, "reset", token=EmailedToken(TokenPurpose.RESET, SECRET, timedelta(hours=1)))
    slow = await claim(app)
    frozen_clock.forward(timedelta(minutes=2))
    quick = await claim(app)

    await write(app, outcome, slow, **({} if outcome is outbox.mark_sent else {"error": "too slow"}))

    (mail,) = await mails(app)
    assert (mail.state, mail.tries, mail.due_on) == ("waiting", 2, quick.due_on)
    assert (mail.error, mail.secret) == (None, SECRET)


async def test_the_mailer_survives_errors_of_the_database(
    settings: dict[str, Any], server: MailServer, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker, "POLL_INTERVAL_SECONDS", 0.05)
    async with serving(settings) as app:
        await execute(app, text("ALTER TABLE mail RENAME TO mail_away"))
        await is_logged(log, "mail_worker_failed")
        await execute(app, text("ALTER TABLE mail_away RENAME TO mail"))
        await post(app)
        await server.arrival()


async def test_emails_that_cannot_be_written_delay_no_others(
    app: Quart, server: MailServer, frozen_clock: FrozenClock
) -> None:
    for _ in range(2 * worker.BATCH_SIZE):
        await post(app, "no_such_template")
    frozen_clock.forward(SECOND)
    await post(app)

    assert await deliver(app) == 2 * worker.BATCH_SIZE + 1

    assert len(server.envelopes) == 1
    broken = await mails(app, "no_such_template")
    assert {(mail.state, mail.tries) for mail in broken} == {("waiting", 1)}
    assert all("no_such_template" in (mail.error or "") for mail in broken)


async def test_a_public_site_without_a_server_keeps_emails_and_logs_no_link(
    settings: dict[str, Any], log: pytest.LogCaptureFixture, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "POLL_INTERVAL_SECONDS", 0.05)
    async with serving(settings | PUBLIC | {"MAIL_SERVER": ""}) as app:
        await post(app, "new_login", facts=FACTS, token=EmailedToken(TokenPurpose.NOT_ME, SECRET, timedelta(days=7)))
        await asyncio.sleep(0.5)  # many times what a delivery needs
        assert await states(app) == [("waiting", 0)]
    assert not [text for text in ("mail_", SECRET, EMAIL) if text in log.text]

    async with serving(settings | PUBLIC):  # now there is one
        await server.arrival()
