"""The outbox: which worker delivers an e-mail and how often, what is kept of it, and the mailbox of a developer."""

import asyncio
import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from quart import Quart, Response
from quart.typing import TestClientProtocol
from sqlalchemy import text

from app.lib import clock
from app.mail import worker
from app.models import Email
from app.models.user_token import TokenPurpose
from app.services import expiry, outbox
from app.services.extension_points import Expiring
from app.services.outbox import EmailedToken
from support.actions import EMAIL, create_user, execute, write
from support.app import MAILBOX, MAILBOX_KEY, SECRET_KEY, both_databases, serving
from support.frozen_clock import FrozenClock
from support.mail_helpers import link, mails
from support.outbox import FACTS, HOSTILE_EMAIL, PUBLIC, deliver, is_logged, post, states
from support.smtp_server import OK, MailServer

BACKOFF_MINUTES = [1, 2, 4, 8, 16, 32, 60, 60, 60]
LATER = "450 4.2.1 try later"
SECRET = "a-secret-of-a-link"
RESET = EmailedToken(TokenPurpose.RESET, SECRET, timedelta(hours=1))
ALERT = EmailedToken(TokenPurpose.NOT_ME, SECRET, timedelta(days=7))
EMAILS = Expiring(Email.id, Email.expires_on)
SECOND = timedelta(seconds=1)
NEAR = {"client": ("127.0.0.1", 5)}
FAR = ["192.0.2.7", "10.0.0.1", "0.0.0.0", "::", "2001:db8::7", "::ffff:192.0.2.7", "fe80::1", "localhost", "", "[::1"]  # noqa: S104
FORWARDED = ["Forwarded", "x-forwarded-for", "X-Forwarded-Host", "X-Real-IP", "Via", "CF-Connecting-IP"]
FORWARDED += ["X-Client-IP", "X-Cluster-Client-IP"]
ELSEWHERE: list[dict[str, Any]] = [
    PUBLIC,
    {"BASE_URL": "http://192.0.2.1:5000"},
    {"BASE_URL": "http://localhost.example.com"},
    {"TRUSTED_PROXIES": 1},
    {"TRUSTED_HOSTS": ("127.0.0.2", "www.example.com")},
    MailServer().settings,
]


async def claim(app: Quart) -> Email:
    """Claim the newest e-mail in the outbox, as a worker does that then dies."""
    *_, mail = await mails(app)
    claimed = await write(app, outbox.claim, mail.id, tries=mail.tries)
    assert isinstance(claimed, Email)
    return claimed


async def test_an_email_goes_to_the_email_address_that_the_account_had_then(
    outbox_app: Quart, mail_server: MailServer
) -> None:
    await create_user(outbox_app)
    await outbox_app.test_client().post("/reset", form={"email": EMAIL})
    await execute(outbox_app, text("UPDATE user SET email = 'eve@example.com', email_key = 'eve@example.com'"))
    await deliver(outbox_app)

    assert [envelope.rcpt_tos for envelope in mail_server.envelopes] == [[EMAIL]]


async def test_an_email_is_retried_after_a_minute_then_two_then_four_up_to_an_hour(
    outbox_app: Quart, mail_server: MailServer, frozen_clock: FrozenClock
) -> None:
    mail_server.to_recipient = LATER
    await post(outbox_app)

    for minutes in BACKOFF_MINUTES:
        assert await deliver(outbox_app) == 1
        frozen_clock.forward(timedelta(minutes=minutes) - SECOND)
        assert await deliver(outbox_app) == 0
        frozen_clock.forward(SECOND)

    mail_server.to_recipient = OK
    assert await deliver(outbox_app) == 1
    assert await states(outbox_app) == [("sent", len(BACKOFF_MINUTES) + 1)]


@both_databases
async def test_an_email_is_retried_for_five_days_or_until_its_link_expires(
    outbox_app: Quart, mail_server: MailServer, frozen_clock: FrozenClock
) -> None:
    for template, token in (("reset", RESET), ("test", None)):
        await post(outbox_app, template, token=token)
        frozen_clock.forward((token.lifetime if token else timedelta(days=5)) - SECOND)
        mail_server.to_recipient = LATER
        assert await deliver(outbox_app) == 1
        await execute(outbox_app, text("UPDATE mail SET due_on = created_on"))
        mail_server.to_recipient = OK
        frozen_clock.forward(SECOND)

        assert await deliver(outbox_app) == 0
        await write(outbox_app, expiry.purge_expired, EMAILS)
        assert await mails(outbox_app) == []
    assert mail_server.envelopes == []


@both_databases
async def test_a_sent_email_keeps_neither_link_nor_content_and_is_purged_after_a_week(
    outbox_app: Quart, mail_server: MailServer, frozen_clock: FrozenClock
) -> None:
    mail_server.to_recipient = LATER
    await post(outbox_app, "new_login", facts=FACTS, token=ALERT)
    await deliver(outbox_app)
    mail_server.to_recipient = OK
    frozen_clock.forward(timedelta(days=1))
    await deliver(outbox_app)

    (mail,) = await mails(outbox_app)
    assert (mail.state, mail.sent_on, mail.due_on) == ("sent", clock.now(), None)
    assert (mail.secret, mail.facts, mail.error) == (None, {}, None)
    for step, left in [(timedelta(days=7) - SECOND, 1), (SECOND, 0)]:
        frozen_clock.forward(step)
        await write(outbox_app, expiry.purge_expired, EMAILS)
        assert len(await mails(outbox_app)) == left


@both_databases
async def test_of_many_simultaneous_claims_one_succeeds(outbox_app: Quart) -> None:
    await post(outbox_app)
    (mail,) = await mails(outbox_app)

    claimed = await asyncio.gather(*(write(outbox_app, outbox.claim, mail.id, tries=0) for _ in range(8)))

    assert [mail.tries for mail in claimed if mail is not None] == [1]


async def test_an_email_that_a_dead_worker_claimed_is_due_again_after_two_minutes(
    outbox_app: Quart, mail_server: MailServer, frozen_clock: FrozenClock
) -> None:
    await post(outbox_app)
    await claim(outbox_app)

    frozen_clock.forward(timedelta(minutes=2) - SECOND)
    assert await deliver(outbox_app) == 0
    frozen_clock.forward(SECOND)
    assert await deliver(outbox_app) == 1
    assert (await states(outbox_app), len(mail_server.envelopes)) == ([("sent", 2)], 1)


async def test_a_worker_whose_claim_has_expired_changes_nothing(outbox_app: Quart, frozen_clock: FrozenClock) -> None:
    error = {"error": "too slow"}
    outcomes: list[tuple[Any, dict[str, str]]] = [(outbox.mark_sent, {})]
    outcomes += [(outbox.reschedule, error), (outbox.mark_failed, error)]
    for outcome, arguments in outcomes:
        await post(outbox_app, "reset", token=RESET)
        slow = await claim(outbox_app)
        frozen_clock.forward(timedelta(minutes=2))
        quick = await claim(outbox_app)

        await write(outbox_app, outcome, slow, **arguments)

        *_, mail = await mails(outbox_app)
        assert (mail.state, mail.tries, mail.due_on) == ("waiting", 2, quick.due_on)
        assert (mail.error, mail.secret) == (None, SECRET)


async def test_the_worker_survives_errors_of_the_database(
    mail_settings: dict[str, Any],
    mail_server: MailServer,
    monkeypatch: pytest.MonkeyPatch,
    log: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(worker, "POLL_INTERVAL_SECONDS", 0.05)
    async with serving(mail_settings) as app:
        await execute(app, text("ALTER TABLE mail RENAME TO mail_away"))
        await is_logged(log, "mail_worker_failed")
        await execute(app, text("ALTER TABLE mail_away RENAME TO mail"))
        await post(app)
        await mail_server.arrival()


async def test_emails_that_cannot_be_rendered_delay_no_others(
    outbox_app: Quart, mail_server: MailServer, frozen_clock: FrozenClock
) -> None:
    for _ in range(2 * worker.BATCH_SIZE):
        await post(outbox_app, "no_such_template")
    frozen_clock.forward(SECOND)
    await post(outbox_app)

    assert await deliver(outbox_app) == 2 * worker.BATCH_SIZE + 1

    assert len(mail_server.envelopes) == 1
    broken = await mails(outbox_app, "no_such_template")
    assert {(mail.state, mail.tries) for mail in broken} == {("waiting", 1)}
    assert all("no_such_template" in (mail.error or "") for mail in broken)


async def test_a_public_site_without_a_server_keeps_emails_and_logs_no_link(
    mail_settings: dict[str, Any],
    log: pytest.LogCaptureFixture,
    mail_server: MailServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "POLL_INTERVAL_SECONDS", 0.05)
    async with serving(mail_settings | PUBLIC | {"MAIL_SERVER": ""}) as app:
        await post(app, "new_login", facts=FACTS, token=ALERT)
        await asyncio.sleep(0.3)  # many times what a delivery needs
        assert await states(app) == [("waiting", 0)]
    assert not [text for text in ("mail_", SECRET, EMAIL) if text in log.text]

    async with serving(mail_settings | PUBLIC):  # now there is one
        await mail_server.arrival()


# The mailbox: a page for this machine alone, on a site without a mail server


async def look(client: TestClientProtocol, path: str = MAILBOX, **how: Any) -> Response:
    return await client.get(path, **({"scope_base": NEAR} | how))


async def request_a_reset(app: Quart) -> str:
    """Return the path of the mailed link."""
    await create_user(app)
    await app.test_client().post("/reset", form={"email": EMAIL})
    return await link(app, "reset")


async def check_absent(client: TestClientProtocol, **how: Any) -> None:
    """See that the response is that of a page that does not exist."""
    responses = [await look(client, path, **how) for path in (MAILBOX, "/dev/no-such-page")]
    bodies = [re.sub("<code>.*?</code>", "", await response.get_data(as_text=True)) for response in responses]
    assert [response.status_code for response in responses] == [404, 404], how
    assert bodies[0] == bodies[1], how
    assert EMAIL not in bodies[0], how


async def test_the_log_contains_the_link_once_and_the_email_is_kept(
    app: Quart, client: TestClientProtocol, log: pytest.LogCaptureFixture, frozen_clock: FrozenClock
) -> None:
    path = await request_a_reset(app)
    await is_logged(log, "email_kept")
    frozen_clock.forward(timedelta(minutes=59))
    assert await deliver(app) == 0

    (line,) = [line for line in log.text.splitlines() if "email_kept" in line]
    assert f"link={app.config['BASE_URL']}{path}" in line
    assert 'subject="Reset your password"' in line
    assert (log.text.count(path), log.text.count(EMAIL)) == (1, 0)
    (mail,) = await mails(app)
    assert (mail.state, mail.tries, mail.error, mail.sent_on, bool(mail.secret)) == ("not sent", 1, None, None, True)


@pytest.mark.usefixtures("three_languages")
async def test_the_mailbox_shows_an_email_in_its_own_language_and_its_link_works(
    app: Quart, client: TestClientProtocol
) -> None:
    await post(app, "no_such_template")  # which hides no other e-mail
    path = await request_a_reset(app)

    page = await (await look(client, headers={"Accept-Language": "fr"})).get_data(as_text=True)
    assert '<html lang="fr">' in page
    assert '<h2 lang="en">Reset your password</h2>' in page
    assert f" {EMAIL} " in page
    assert f"{app.config['BASE_URL']}{path}" in page
    assert re.findall(r'<a href="(/reset/[^"]+)">', page) == [path]
    assert (await client.get(path)).status_code == 200


async def test_the_mailbox_exists_for_this_machine_alone_without_a_proxy(
    app: Quart, client: TestClientProtocol
) -> None:
    await request_a_reset(app)

    for ip in ("127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"):
        assert (await look(client, scope_base={"client": (ip, 5)})).status_code == 200, ip
    for ip in FAR:
        await check_absent(client, scope_base={"client": (ip, 5)})
    await check_absent(client, scope_base={"client": None})
    for name in (*FORWARDED, "True-Client-IP"):
        await check_absent(client, headers={name: "127.0.0.1"})
    await check_absent(client, headers={"Via": ""})
    await check_absent(client, http_version="1.0")


async def test_the_mailbox_needs_the_key_of_the_log_and_remembers_it(
    app: Quart, client: TestClientProtocol, settings: dict[str, Any]
) -> None:
    path = await request_a_reset(app)

    for key in ("", "?key=", f"?key={MAILBOX_KEY[:-1]}", "?key=%ff", f"?key={path.partition('.')[2]}"):
        response = await look(app.test_client(), f"/dev/mailbox{key}")
        assert (response.status_code, path in await response.get_data(as_text=True)) == (403, False), key
    assert (await look(client)).status_code == (await look(client, "/dev/mailbox")).status_code == 200
    async with serving(settings) as restarted:
        assert (await look(restarted.test_client())).status_code == 200
        restarted.config["SECRET_KEY"] = SECRET_KEY[::-1]
        assert (await look(restarted.test_client())).status_code == 403


async def test_the_mailbox_does_not_exist_on_any_other_site_and_the_log_of_the_start_names_it(
    settings: dict[str, Any], log: pytest.LogCaptureFixture
) -> None:
    async with serving(settings):
        assert f'dev_mailbox url="http://localhost:5000{MAILBOX}"' in log.text
    log.clear()
    for elsewhere in ELSEWHERE:
        async with serving(settings | elsewhere) as app:
            await post(app)
            host = app.config["BASE_URL"].partition("://")[2]
            await check_absent(app.test_client(), headers={"Host": host})
    assert "dev_mailbox" not in log.text


async def test_hostile_text_in_the_mailbox_is_escaped_once(app: Quart, client: TestClientProtocol) -> None:
    device = "<script>alert(1)</script> & 'so'"
    facts = FACTS | {"user_agent": device, "ip": device, "new_email": HOSTILE_EMAIL}
    await post(app, "email_changed", to=HOSTILE_EMAIL, facts=facts)

    page = await (await look(client)).get_data(as_text=True)
    assert "<script>alert" not in page
    assert device in unescape(page)
    assert f"To {HOSTILE_EMAIL}" in unescape(page)
    assert "&amp;amp;" not in page
