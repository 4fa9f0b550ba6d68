"""How e-mails leave: to a real SMTP server that accepts them, refuses them, hangs, or is not there."""

import asyncio
import os
import re
import shutil
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from quart import Quart
from quart.typing import TestClientProtocol

from app.lib import clock
from app.mail import smtp, worker
from app.models import Email
from app.services import outbox
from support.actions import EMAIL, PASSWORD, create_user
from support.app import both_databases, serving
from support.commands import CommandLine
from support.frozen_clock import FrozenClock
from support.mail_helpers import link, mails
from support.mariadb_server import free_port
from support.outbox import HOSTILE_EMAIL, comes_to, deliver, keep, post, serving_still, states
from support.proxy_process import make_certificate
from support.server_process import Server, running
from support.smtp_server import OK, MailServer

MINUTE = timedelta(minutes=1)
LOGIN = {"MAIL_USERNAME": "site", "MAIL_PASSWORD": "s3cret"}


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


@both_databases
async def test_what_a_request_enqueues_arrives_at_once_and_its_link_works(
    settings: dict[str, Any], server: MailServer
) -> None:
    async with serving(settings) as app:
        client = app.test_client()
        await create_user(app)
        await client.post("/reset", form={"email": EMAIL})
        await server.arrival()

        (path,) = re.findall(r"^http://localhost:5000(/reset/\S+)$", server.text(), re.MULTILINE)
        assert (await client.get(path)).status_code == 200
        assert [(mail.recipient, mail.tries) for mail in await comes_to(app, "sent")] == [(EMAIL, 1)]


async def test_an_email_has_one_sender_one_recipient_and_its_date(app: Quart, server: MailServer) -> None:
    await post(app)
    (mail,) = await mails(app)
    await deliver(app)

    (message,), (envelope,) = server.messages, server.envelopes
    assert (message["From"], message["To"]) == ("Example Site <site@example.com>", EMAIL)
    assert (message["Subject"], message["Auto-Submitted"]) == ("Test e-mail", "auto-generated")
    assert parsedate_to_datetime(message["Date"]) == mail.created_on
    assert re.fullmatch(rf"<{mail.id}\.\d{{14}}@localhost>", message["Message-ID"])
    assert message.get_content_type() == "multipart/alternative"
    assert (envelope.mail_from, envelope.rcpt_tos) == ("site@example.com", [EMAIL])


async def test_an_email_to_anything_but_one_email_address_reaches_nobody(app: Quart, server: MailServer) -> None:
    recipients = [f"{EMAIL}, eve@example.com", f"{EMAIL}\r\nBcc: eve@example.com", f"{EMAIL}> <eve@example.com"]
    recipients += [f"{EMAIL}\nRCPT TO:<eve@example.com>", f"Ada <{EMAIL}>", f"eve@example.com:{EMAIL};", f"{EMAIL}\0"]
    recipients += ["ada", "@example.com", ""]
    for recipient in recipients:
        expires_on = clock.now() + timedelta(days=1)
        await keep(app, Email(template="test", recipient=recipient, facts={}, expires_on=expires_on))
    await deliver(app)

    assert server.envelopes == []
    assert [mail.recipient for mail in await mails(app) if mail.state == "sent" or not mail.error] == []


async def test_an_email_address_of_another_alphabet_is_sent_in_ascii(
    settings: dict[str, Any], server: MailServer
) -> None:
    async with serving_still(settings | {"MAIL_DEFAULT_SENDER": "Bücher & mehr <site@bücher.example>"}) as app:
        await post(app, to="ada@bücher.example")
        await post(app, to=HOSTILE_EMAIL)
        await deliver(app)

    recipients = {recipient for envelope in server.envelopes for recipient in envelope.rcpt_tos}
    assert recipients == {"ada@xn--bcher-kva.example", HOSTILE_EMAIL}  # one batch is delivered in any order
    assert server.envelopes[0].mail_from == "site@xn--bcher-kva.example"
    assert server.messages[0]["From"].addresses[0].display_name == "Bücher & mehr"
    assert server.messages[0].as_bytes().split(b"\n\n")[0].isascii()


# Servers that refuse, hang, or are not there


TEMPORARY = {
    "to_sender": ["451 4.3.0 try later", "550 5.7.1 we know you not"],
    "to_recipient": ["421 4.3.2 closing", "450 4.2.1 try later"],
    "to_data": ["421 4.3.2 closing", "451 4.3.0 try later", "452 4.3.1 full"],
}
PERMANENT = {
    "to_recipient": ["550 5.1.1 no such person", "553 5.1.3 no such address"],
    "to_data": ["552 5.3.4 too big", "554 5.7.1 spam"],
}


async def test_an_email_that_is_refused_for_now_is_sent_later(
    app: Quart, server: MailServer, frozen_clock: FrozenClock
) -> None:
    for step, reply in [(step, reply) for step, replies in TEMPORARY.items() for reply in replies]:
        setattr(server, step, reply)
        await post(app)
        assert await deliver(app) == 1
        *_, mail = await mails(app)
        assert (mail.state, mail.tries) == ("waiting", 1), reply
        assert reply[:3] in (mail.error or "") or "closing" in reply

        setattr(server, step, OK)
        frozen_clock.forward(MINUTE)
        assert await deliver(app) == 1
    assert {state for state, _ in await states(app)} == {"sent"}
    assert len(server.envelopes) == 7


async def test_a_permanent_failure_is_kept_with_its_reason_and_not_retried(
    app: Quart, server: MailServer, frozen_clock: FrozenClock, log: pytest.LogCaptureFixture
) -> None:
    for step, reply in [(step, reply) for step, replies in PERMANENT.items() for reply in replies]:
        setattr(server, step, reply)
        await post(app)
        await deliver(app)
        setattr(server, step, OK)
        frozen_clock.forward(timedelta(hours=2))

        assert await deliver(app) == 0
        *_, mail = await mails(app)
        assert (mail.state, mail.sent_on, mail.tries) == ("not sent", None, 1), reply
        assert all(part in (mail.error or "") for part in (reply[:3], reply[4:]))
    assert log.text.count("email_failed") == 4
    assert server.envelopes == []


async def test_without_a_server_that_listens_an_email_waits(
    settings: dict[str, Any], frozen_clock: FrozenClock
) -> None:
    absent = MailServer()
    async with serving_still(settings | absent.settings) as app:
        await post(app)
        assert await deliver(app) == 1
        assert await states(app) == [("waiting", 1)]

        frozen_clock.forward(MINUTE)
        with absent.running():
            assert await deliver(app) == 1
    assert len(absent.envelopes) == 1


@pytest.mark.parametrize("limit", ["STEP_TIMEOUT_SECONDS", "DELIVERY_TIMEOUT_SECONDS"])
async def test_a_delivery_to_a_server_that_hangs_times_out(
    app: Quart, server: MailServer, frozen_clock: FrozenClock, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    server.hang.set()
    await post(app)
    since = time.monotonic()
    with monkeypatch.context() as patched:
        patched.setattr(smtp, limit, 0.3)
        assert await deliver(app) == 1
    assert time.monotonic() - since < 8
    (mail,) = await mails(app)
    assert (mail.state, "Timeout" in (mail.error or "")) == ("waiting", True)

    server.hang.clear()
    frozen_clock.forward(MINUTE)
    await deliver(app)
    assert await states(app) == [("sent", 2)]


async def test_a_server_that_hangs_up_before_its_reply_gets_the_email_again_under_the_same_id(
    app: Quart, server: MailServer, frozen_clock: FrozenClock
) -> None:
    server.gone_after_data = True
    await post(app)
    await deliver(app)
    assert await states(app) == [("waiting", 1)]
    server.gone_after_data, server.gone_at_quit = False, True  # after its reply: it has the e-mail
    frozen_clock.forward(MINUTE)
    await deliver(app)
    frozen_clock.forward(timedelta(hours=1))

    assert (await deliver(app), await states(app)) == (0, [("sent", 2)])
    first, second = server.messages
    assert (first["Message-ID"], first["Date"]) == (second["Message-ID"], second["Date"])


@pytest.mark.parametrize(("shown", "error"), [(LOGIN | {"MAIL_PASSWORD": "wr0ng"}, "535"), ({}, "530")])
async def test_an_email_waits_while_the_server_refuses_our_password(
    settings: dict[str, Any],
    frozen_clock: FrozenClock,
    log: pytest.LogCaptureFixture,
    shown: dict[str, str],
    error: str,
) -> None:
    with MailServer(login=("site", "s3cret")).running() as server:
        async with serving_still(settings | server.settings | shown) as app:
            await post(app)
            await deliver(app)
            (mail,) = await mails(app)
            assert (mail.state, mail.tries, error in (mail.error or "")) == ("waiting", 1, True)
        async with serving_still(settings | server.settings | LOGIN) as app:
            frozen_clock.forward(MINUTE)
            await deliver(app)

    assert len(server.envelopes) == 1
    assert "wr0ng" not in log.text


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificate")
    make_certificate(folder)
    return folder


@asynccontextmanager
async def sent_over_tls(
    settings: dict[str, Any], folder: Path, setting: str, **others: Any
) -> AsyncIterator[tuple[Email, MailServer]]:
    """Deliver an e-mail to a server that calls itself localhost and wants a password."""
    wrapped, login = setting == "MAIL_USE_SSL", ("site", "s3cret")
    with MailServer(certificate=folder, wrapped=wrapped, login=login).running() as server:
        ours = server.settings | LOGIN | {"MAIL_SERVER": "localhost", setting: True}
        async with serving_still(settings | ours | others) as app:
            await post(app)
            await deliver(app)
            *_, mail = await mails(app)
            yield mail, server


@pytest.mark.programs
@pytest.mark.parametrize("setting", ["MAIL_USE_TLS", "MAIL_USE_SSL"])
async def test_an_email_leaves_encrypted_to_a_server_with_a_valid_certificate_and_to_no_other(
    settings: dict[str, Any],
    certificate: Path,
    frozen_clock: FrozenClock,  # so that no e-mail is retried
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
) -> None:
    async with sent_over_tls(settings, certificate, setting) as (mail, server):
        assert "self-signed certificate" in (mail.error or "")
        assert (mail.state, server.passwords, server.envelopes) == ("waiting", [], [])

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
    async with sent_over_tls(settings, certificate, setting, MAIL_SERVER="127.0.0.1") as (mail, server):
        assert "certificate is not valid for '127.0.0.1'" in (mail.error or "")
        assert (server.passwords, server.envelopes) == ([], [])
    async with sent_over_tls(settings, certificate, setting) as (mail, server):
        assert (mail.state, server.encrypted) == ("sent", [True])


@pytest.mark.programs
async def test_an_email_leaves_in_the_clear_only_where_tls_is_switched_off(
    settings: dict[str, Any], server: MailServer, certificate: Path
) -> None:
    for setting in ("MAIL_USE_TLS", "MAIL_USE_SSL"):
        async with serving_still(settings | {setting: True}) as app:
            await post(app)
            await deliver(app)
            assert {state for state, _ in await states(app)} == {"waiting"}
    assert server.envelopes == []

    with MailServer(certificate=certificate).running() as able:
        async with serving_still(settings | able.settings) as app:
            await post(app)
            await deliver(app)
    assert able.encrypted == [False]


# The log


async def test_no_token_and_no_email_address_is_logged(
    app: Quart, client: TestClientProtocol, server: MailServer, log: pytest.LogCaptureFixture
) -> None:
    for email in ("ada.lovelace@example.com", HOSTILE_EMAIL, "o'neil.ada@bücher.example"):
        await create_user(app, email)
        for reply in (OK, "450 4.2.1 <{}> is full", "550 5.1.1 no {} here"):
            server.to_recipient = reply.format(email.replace("ü", "u"))
            log.clear()
            await client.post("/reset", form={"email": email})
            (*_, mail), path = await mails(app), await link(app, "reset")
            await deliver(app)
            await client.get(path)

            assert re.search("email_(sent|retry|failed)", log.text)
            secrets = [mail.secret or "a-secret", path, path.rpartition("/")[2], email, email.partition("@")[0]]
            assert [secret for secret in secrets if secret in log.text] == []


async def test_a_link_that_the_server_quotes_is_neither_logged_nor_stored(
    app: Quart, client: TestClientProtocol, server: MailServer, log: pytest.LogCaptureFixture
) -> None:
    await create_user(app)
    await client.post("/reset", form={"email": EMAIL})
    path = await link(app, "reset")
    server.to_data = f"554 5.7.1 spam: http://localhost:5000{path}"
    await deliver(app)

    (mail,) = await mails(app)
    assert "554" in log.text
    assert path.rpartition("/")[2] not in log.text + (mail.error or "")


# The command


def test_the_command_sends_a_test_at_once(command_line: CommandLine, server: MailServer) -> None:
    assert command_line.succeed("mail", "test", EMAIL) == f"127.0.0.1:{server.port} has accepted the e-mail.\n"

    (message,) = server.messages
    assert (message["To"], message["Subject"]) == (EMAIL, "Test e-mail")


def test_the_command_refuses_in_one_line_that_says_why(command_line: CommandLine, server: MailServer) -> None:
    cases: list[tuple[str, dict[str, Any], str]] = [
        (EMAIL, {"MAIL_PORT": free_port()}, "SMTPConnectError"),
        (EMAIL, {"MAIL_SERVER": ""}, "MAIL_SERVER is empty"),
        (EMAIL, {"MAIL_SERVER": "mail..example.com"}, "mail..example.com"),
        (EMAIL, {"MAIL_USE_TLS": True}, "STARTTLS"),
        (f"{EMAIL}, eve@example.com", {}, "Error: "),
    ]
    for email, changed, reason in cases:
        assert reason in command_line.refusal("mail", "test", email, **changed)
    assert server.envelopes == []


# The end of a server


async def test_a_stop_does_not_wait_for_a_delivery_and_the_email_arrives_later(
    settings: dict[str, Any], server: MailServer, frozen_clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "SHUTDOWN_TIMEOUT_SECONDS", 0.3)
    async with serving(settings) as app:
        server.hang.set()
        await post(app)
        app.extensions["mail_worker"].wakeup.set()
        await asyncio.to_thread(server.hangs.wait, 10)
        since = time.monotonic()
        await app.extensions["mail_worker"].stop()
        assert time.monotonic() - since < 5
        assert app.extensions["mail_worker"].task.done()

        server.hang.clear()
        frozen_clock.forward(outbox.CLAIM_DURATION)
        await deliver(app)
        assert await states(app) == [("sent", 2)]
    assert len({str(message["Message-ID"]) for message in server.messages}) == 1


@pytest.fixture
def instance(tmp_path: Path, sqlite_template: Path) -> Path:
    """Return the folder of a site that runs in processes of its own."""
    shutil.copy(sqlite_template, tmp_path / "app.db")
    return tmp_path


def request_a_reset(address: str) -> None:
    """Open an account over HTTP, and request a link to it."""
    form = {"email": EMAIL, "password": PASSWORD, "password_confirm": PASSWORD}
    with httpx.Client(base_url=f"http://{address}", headers={"Sec-Fetch-Site": "same-origin"}) as client:
        assert client.post("/register", data=form).status_code == 303
        assert client.post("/reset", data={"email": EMAIL}).status_code == 303


def set_due(instance: Path) -> None:
    """Let two minutes pass, so that the claimed e-mail is due again."""
    with closing(sqlite3.connect(instance / "app.db", timeout=10)) as connection, connection:
        moved = connection.execute("UPDATE mail SET due_on = created_on WHERE sent_on IS NULL").rowcount
    assert moved == 1


@contextmanager
def running_site(instance: Path, server: MailServer) -> Iterator[Server]:
    """Run a site of two workers that sends its e-mails to a server."""
    options = ("--workers", "2")
    settings: dict[str, Any] = dict(server.settings)
    with running(instance, *options, workers=2, **settings) as site:
        yield site


@pytest.mark.slow
def test_a_site_that_is_killed_during_a_delivery_loses_no_email(instance: Path) -> None:
    with MailServer().running() as hanging:
        hanging.hang.set()
        with running_site(instance, hanging) as site:
            request_a_reset(site.address)
            assert hanging.hangs.wait(10)
            os.killpg(site.process.pid, signal.SIGKILL)
            site.process.wait(10)

    set_due(instance)
    with MailServer(port=hanging.port).running() as well, running_site(instance, well) as site:
        well.wait_for(1, seconds=30)
        site.wait_for(lambda: "email_sent" in site.log.read_text())
        assert site.end() == 0

    (message,) = well.messages
    assert (message["To"], message["Subject"]) == (EMAIL, "Reset your password")
    assert {str(copy["Message-ID"]) for copy in hanging.messages} <= {str(message["Message-ID"])}


@pytest.mark.slow
def test_a_site_that_is_stopped_during_a_delivery_ends_in_time(instance: Path) -> None:
    with MailServer().running() as server:
        server.hang.set()
        with running_site(instance, server) as site:
            request_a_reset(site.address)
            assert server.hangs.wait(10)
            since = time.monotonic()
            assert site.end() == 0
            assert time.monotonic() - since < 8

    log = site.log.read_text()
    assert log.count("Connections in pool: 0") == 2
    assert "Traceback" not in log
    set_due(instance)  # it is still in the outbox
