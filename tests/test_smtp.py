"""How e-mails leave: to a real SMTP server that accepts them, refuses them, hangs, or is not there."""

import asyncio
import itertools
import os
import re
import signal
import sqlite3
import time
from contextlib import closing
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from quart import Quart
from sqlalchemy import delete

from app.mail import smtp, worker
from app.models import Email, User
from app.services import outbox
from support.actions import EMAIL, PASSWORD, create_user, execute
from support.app import both_databases, serving
from support.commands import CommandLine
from support.frozen_clock import FrozenClock
from support.load import instance_in
from support.mail_helpers import link, mails
from support.mariadb_server import free_port
from support.outbox import HOSTILE_EMAIL, deliver, is_logged, post, serving_still, states
from support.server_process import running
from support.smtp_server import OK, MailServer, make_certificate

HOUR = timedelta(hours=1)
LOGIN = {"MAIL_USERNAME": "site", "MAIL_PASSWORD": "s3cret"}


@both_databases
async def test_what_a_request_enqueues_arrives_at_once_and_its_link_works(
    mail_settings: dict[str, Any],
    mail_server: MailServer,
    monkeypatch: pytest.MonkeyPatch,
    log: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(worker, "POLL_INTERVAL_SECONDS", 3600)
    async with serving(mail_settings) as app:
        client = app.test_client()
        await create_user(app)
        await client.post("/reset", form={"email": EMAIL})
        await is_logged(log, "email_sent")

        (path,) = re.findall(r"^http://localhost:5000(/reset/\S+)$", mail_server.text(), re.MULTILINE)
        assert (await client.get(path)).status_code == 200
        assert [(mail.recipient, mail.tries) for mail in await mails(app)] == [(EMAIL, 1)]


async def test_an_email_has_one_sender_one_recipient_and_its_date(outbox_app: Quart, mail_server: MailServer) -> None:
    await post(outbox_app)
    (mail,) = await mails(outbox_app)
    await deliver(outbox_app)

    (message,), (envelope,) = mail_server.messages, mail_server.envelopes
    assert (message["From"], message["To"]) == ("Example Site <site@example.com>", EMAIL)
    assert (message["Subject"], message["Auto-Submitted"]) == ("Test e-mail", "auto-generated")
    assert parsedate_to_datetime(message["Date"]) == mail.created_on
    assert re.fullmatch(rf"<{mail.id}\.\d{{14}}@localhost>", message["Message-ID"])
    assert message.get_content_type() == "multipart/alternative"
    assert (envelope.mail_from, envelope.rcpt_tos) == ("site@example.com", [EMAIL])


async def test_an_email_to_anything_but_one_email_address_reaches_no_mailbox(
    outbox_app: Quart, mail_server: MailServer
) -> None:
    recipients = [f"{EMAIL}, eve@example.com", f"{EMAIL}\r\nBcc: eve@example.com", f"{EMAIL}> <eve@example.com"]
    recipients += [f"{EMAIL}\nRCPT TO:<eve@example.com>", f"Ada <{EMAIL}>", f"eve@example.com:{EMAIL};", f"{EMAIL}\0"]
    for recipient in (*recipients, "ada", ""):
        await post(outbox_app, to=recipient)
    await deliver(outbox_app)

    assert mail_server.envelopes == []
    assert [mail.recipient for mail in await mails(outbox_app) if not mail.error] == []


async def test_an_email_address_of_another_alphabet_is_sent_in_ascii(
    mail_settings: dict[str, Any], mail_server: MailServer
) -> None:
    senders = {
        "MAIL_DEFAULT_SENDER": "Bücher & mehr <site@bücher.example>",
        "MAIL_REPLY_TO": "Hilfe <hilfe@bücher.example>",
    }
    async with serving_still(mail_settings | senders) as app:
        await post(app, to="ada@bücher.example")
        await post(app, to=HOSTILE_EMAIL)
        await deliver(app)

    recipients = {recipient for envelope in mail_server.envelopes for recipient in envelope.rcpt_tos}
    assert recipients == {"ada@xn--bcher-kva.example", HOSTILE_EMAIL}  # one batch is delivered in any order
    assert mail_server.envelopes[0].mail_from == "site@xn--bcher-kva.example"
    assert mail_server.messages[0]["From"].addresses[0].display_name == "Bücher & mehr"
    assert str(mail_server.messages[0]["Reply-To"]) == "Hilfe <hilfe@xn--bcher-kva.example>"
    assert mail_server.messages[0].as_bytes().split(b"\n\n")[0].isascii()


# Servers that refuse, hang, or are not there


async def test_an_email_that_is_refused_for_now_is_sent_later(
    outbox_app: Quart, mail_server: MailServer, frozen_clock: FrozenClock
) -> None:
    replies = [("to_sender", "550 5.7.1 unknown"), ("to_recipient", "450 4.2.1 try later")]
    replies += [("to_recipient", "421 4.3.2 closing"), ("to_data", "421 4.3.2 closing"), ("to_data", "452 4.3.1 full")]
    for step, reply in replies:
        setattr(mail_server, step, reply)
        await post(outbox_app)
        assert await deliver(outbox_app) == 1
        *_, mail = await mails(outbox_app)
        assert (mail.state, mail.tries) == ("waiting", 1), reply
        assert reply[:3] in (mail.error or "") or "closing" in reply

        setattr(mail_server, step, OK)
        frozen_clock.forward(HOUR)
        assert await deliver(outbox_app) == 1
    assert await states(outbox_app) == [("sent", 2)] * len(replies)


async def test_a_permanent_failure_is_kept_with_its_reason_and_not_retried(
    outbox_app: Quart, mail_server: MailServer, frozen_clock: FrozenClock, log: pytest.LogCaptureFixture
) -> None:
    for step, reply in (("to_recipient", "550 5.1.1 no such mailbox"), ("to_data", "554 5.7.1 spam")):
        setattr(mail_server, step, reply)
        await post(outbox_app)
        await deliver(outbox_app)
        setattr(mail_server, step, OK)
        frozen_clock.forward(2 * HOUR)

        assert await deliver(outbox_app) == 0
        *_, mail = await mails(outbox_app)
        assert (mail.state, mail.sent_on, mail.tries) == ("not sent", None, 1), reply
        assert all(part in (mail.error or "") for part in (reply[:3], reply[4:]))
    assert log.text.count("email_failed") == 2
    assert mail_server.envelopes == []


async def test_an_email_waits_while_no_server_listens_or_it_refuses_the_login(
    settings: dict[str, Any], frozen_clock: FrozenClock, log: pytest.LogCaptureFixture
) -> None:
    server = MailServer(login=("site", "s3cret"))
    async with serving_still(settings | server.settings) as app:
        await post(app)
        await deliver(app)
        assert await states(app) == [("waiting", 1)]

    cases = [({}, "530", "waiting"), (LOGIN | {"MAIL_PASSWORD": "wr0ng"}, "535", "waiting"), (LOGIN, "", "sent")]
    with server.running():
        for tries, (login, error, state) in enumerate(cases, start=2):
            async with serving_still(settings | server.settings | login) as app:
                frozen_clock.forward(HOUR)
                await deliver(app)
                (mail,) = await mails(app)
                assert (mail.state, mail.tries, error in (mail.error or "")) == (state, tries, True)
    assert "wr0ng" not in log.text


async def test_a_delivery_to_a_server_that_hangs_times_out(
    outbox_app: Quart, mail_server: MailServer, frozen_clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail_server.hang.set()
    await post(outbox_app)
    for limit in ("STEP_TIMEOUT_SECONDS", "DELIVERY_TIMEOUT_SECONDS"):
        since = time.monotonic()
        with monkeypatch.context() as patched:
            patched.setattr(smtp, limit, 0.3)
            assert await deliver(outbox_app) == 1
        assert time.monotonic() - since < 8
        (mail,) = await mails(outbox_app)
        assert (mail.state, "Timeout" in (mail.error or "")) == ("waiting", True)
        frozen_clock.forward(HOUR)

    mail_server.hang.clear()
    await deliver(outbox_app)
    assert await states(outbox_app) == [("sent", 3)]


async def test_a_server_that_hangs_up_before_its_reply_gets_the_email_again_under_the_same_id(
    outbox_app: Quart, mail_server: MailServer, frozen_clock: FrozenClock
) -> None:
    mail_server.gone_after_data = True
    await post(outbox_app)
    await deliver(outbox_app)
    assert await states(outbox_app) == [("waiting", 1)]
    mail_server.gone_after_data, mail_server.gone_at_quit = False, True  # after its reply: it has the e-mail
    frozen_clock.forward(HOUR)
    await deliver(outbox_app)
    frozen_clock.forward(HOUR)

    assert (await deliver(outbox_app), await states(outbox_app)) == (0, [("sent", 2)])
    first, second = mail_server.messages
    assert (first["Message-ID"], first["Date"]) == (second["Message-ID"], second["Date"])


# TLS


async def send_over_tls(
    settings: dict[str, Any], folder: Path | None, setting: str, **others: Any
) -> tuple[Email, MailServer]:
    """Deliver an e-mail to a server that calls itself localhost and requires a password."""
    wrapped, login = setting == "MAIL_USE_SSL", ("site", "s3cret")
    with MailServer(certificate=folder, wrapped=wrapped, login=login).running() as server:
        given = server.settings | LOGIN | {"MAIL_SERVER": "localhost", setting: True}
        async with serving_still(settings | given | others) as app:
            await post(app)
            await deliver(app)
            *_, mail = await mails(app)
            return mail, server


@pytest.mark.programs
@pytest.mark.parametrize("setting", ["MAIL_USE_TLS", "MAIL_USE_SSL"])
async def test_an_email_leaves_encrypted_to_a_server_with_a_valid_certificate_and_to_no_other(
    settings: dict[str, Any],
    tmp_path: Path,
    frozen_clock: FrozenClock,  # so that no e-mail is retried
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
) -> None:
    mail, server = await send_over_tls(settings, None, setting)  # which speaks no TLS
    assert (mail.state, server.passwords, server.envelopes) == ("waiting", [], [])

    make_certificate(tmp_path)
    mail, server = await send_over_tls(settings, tmp_path, setting)
    assert "self-signed certificate" in (mail.error or "")
    assert (mail.state, server.passwords, server.envelopes) == ("waiting", [], [])

    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    mail, server = await send_over_tls(settings, tmp_path, setting, MAIL_SERVER="127.0.0.1")
    assert "certificate is not valid for '127.0.0.1'" in (mail.error or "")
    assert (mail.state, server.passwords, server.envelopes) == ("waiting", [], [])
    mail, server = await send_over_tls(settings, tmp_path, setting)
    assert (mail.state, server.encrypted) == ("sent", [True])


# The log


async def test_no_token_and_no_email_address_is_logged(
    outbox_app: Quart, mail_server: MailServer, log: pytest.LogCaptureFixture
) -> None:
    app, client = outbox_app, outbox_app.test_client()
    quotes = [("to_recipient", OK), ("to_recipient", "450 4.2.1 <{email}> is full")]
    quotes += [
        ("to_recipient", "550 5.1.1 no {email} here"),
        ("to_data", "554 5.7.1 spam: http://localhost:5000{path}"),
    ]
    for email, (step, reply) in itertools.product(("ada.lovelace@example.com", HOSTILE_EMAIL), quotes):
        log.clear()
        await execute(app, delete(User))
        await create_user(app, email)
        await client.post("/reset", form={"email": email})
        (*_, mail), path = await mails(app), await link(app, "reset")
        setattr(mail_server, step, reply.format(email=email, path=path))
        await deliver(app)
        setattr(mail_server, step, OK)
        await client.get(path)

        token = path.rpartition("/")[2]
        assert re.search("email_(sent|retry|failed)", log.text)
        secrets = [mail.secret or "a-secret", token, email, email.partition("@")[0]]
        assert [secret for secret in secrets if secret in log.text] == []
        assert token not in ((await mails(app))[-1].error or "")


# The command


def test_the_command_sends_a_test_at_once_or_prints_in_one_line_why_it_does_not(
    mail_settings: dict[str, Any], mail_server: MailServer
) -> None:
    command_line = CommandLine(mail_settings)
    cases: list[tuple[str, dict[str, Any], str]] = [
        (EMAIL, {"MAIL_PORT": free_port()}, "SMTPConnectError"),
        (EMAIL, {"MAIL_SERVER": ""}, "MAIL_SERVER is empty"),
        (EMAIL, {"MAIL_SERVER": "mail..example.com"}, "mail..example.com"),
        (EMAIL, {"MAIL_USE_TLS": True}, "STARTTLS"),
        (f"{EMAIL}, eve@example.com", {}, "Error: "),
    ]
    for email, changed, reason in cases:
        assert reason in command_line.refusal("mail", "test", email, **changed)
    assert mail_server.envelopes == []

    printed = command_line.succeed("mail", "test", EMAIL)
    assert printed == f"127.0.0.1:{mail_server.port} has accepted the e-mail.\n"
    assert [(message["To"], message["Subject"]) for message in mail_server.messages] == [(EMAIL, "Test e-mail")]


# The end of a server


async def test_a_stop_does_not_wait_for_a_delivery_and_the_email_arrives_later(
    mail_settings: dict[str, Any], mail_server: MailServer, frozen_clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "SHUTDOWN_TIMEOUT_SECONDS", 0.3)
    async with serving(mail_settings) as app:
        mail_server.hang.set()
        await post(app)
        app.extensions["mail_worker"].wakeup.set()
        await asyncio.to_thread(mail_server.hangs.wait, 10)
        since = time.monotonic()
        await app.extensions["mail_worker"].stop()
        assert time.monotonic() - since < 5
        assert app.extensions["mail_worker"].task.done()

        mail_server.hang.clear()
        frozen_clock.forward(outbox.CLAIM_DURATION)
        await deliver(app)
        assert await states(app) == [("sent", 2)]
    assert len({str(message["Message-ID"]) for message in mail_server.messages}) == 1


@pytest.mark.slow
def test_a_site_that_is_killed_during_a_delivery_loses_no_email(tmp_path: Path, sqlite_template: Path) -> None:
    instance = instance_in(tmp_path / "site", sqlite_template)
    with MailServer().running() as hanging:
        hanging.hang.set()
        with running(instance, **hanging.settings) as site:
            request_a_reset(site.address)
            assert hanging.hangs.wait(10)
            os.killpg(site.process.pid, signal.SIGKILL)
            site.process.wait(10)
    with closing(sqlite3.connect(instance / "app.db")) as connection, connection:  # as if two minutes had passed
        assert connection.execute("UPDATE mail SET due_on = created_on WHERE sent_on IS NULL").rowcount == 1

    with MailServer(port=hanging.port).running() as well, running(instance, **well.settings):
        well.wait_for()
    (message,) = well.messages
    assert (message["To"], message["Subject"]) == (EMAIL, "Reset your password")
    assert {str(copy["Message-ID"]) for copy in hanging.messages} <= {str(message["Message-ID"])}


def request_a_reset(address: str) -> None:
    """Open an account over HTTP, and request a link to it."""
    form = {"email": EMAIL, "password": PASSWORD, "password_confirm": PASSWORD}
    with httpx.Client(base_url=f"http://{address}", headers={"Sec-Fetch-Site": "same-origin"}) as client:
        assert client.post("/register", data=form).status_code == 303
        assert client.post("/reset", data={"email": EMAIL}).status_code == 303
