"""How mails leave: over SMTP, to a real server that takes them, refuses them, hangs, or is not there."""

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
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app import letters, mailer
from app.app_factory import create_app
from app.config import ConfigError
from app.models import Mail, User, clock, db
from app.models.user_token import Purpose
from app.services import outbox, sweeping
from app.services.outbox import Link
from conftest import ROOT, SECRET_KEY, serving
from letters_read import link, mails
from mariadb_server import free_port
from people import EMAIL, PASSWORD, change_password, create_user, execute, log_in, register
from proxy_process import make_certificate
from smtp_server import MailServer
from test_cli import Commands, commands, environment
from test_run import PATIENCE, Server, running
from test_sessions import MovedClock, moved_clock

__all__ = ["commands", "environment", "moved_clock"]  # fixtures

HOSTILE_EMAIL = "a&b'c@example.com"
HOSTILE = "<script>alert(1)</script> & 'so' \"on\""
INJECTED = "Firefox\r\nBcc: eve@example.com\r\n\r\nhttps://evil.example/"
PUBLIC = {"BASE_URL": "https://www.example.com"}
SECRET = "a-secret-of-a-link"
FACTS = {
    "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "ip": "192.0.2.7",
    "time": "2030-01-02T03:04:00+00:00",
    "new_email": "new@example.com",
}
TEMPLATES = sorted(path.stem for path in (ROOT / "src/app/templates/mails").glob("*.txt"))
ALL_LINK = ("change_email", "confirm", "reset")  # what says nothing but: here is your link
TAGS = {"html", "head", "meta", "title", "body", "div", "h1", "p", "a"}
HEADERS = ["Auto-Submitted", "Content-Type", "Date", "From", "MIME-Version", "Message-ID", "Subject", "To"]
MINUTES = [1, 2, 4, 8, 16, 32, 60, 60, 60]
SECOND = timedelta(seconds=1)

on_sqlite = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer().running() as running:
        yield running


@pytest.fixture
def settings(settings: dict[str, Any], server: MailServer) -> dict[str, Any]:
    return settings | server.settings


@asynccontextmanager
async def serving_still(settings: dict[str, Any]) -> AsyncIterator[Quart]:
    """Run a site whose mails leave only when the test says so."""
    async with serving(settings) as app:
        await app.extensions["mailer"].stop()
        yield app


@pytest.fixture
async def app(settings: dict[str, Any]) -> AsyncIterator[Quart]:
    async with serving_still(settings) as app:
        yield app


async def post(app: Quart, template: str = "test", *, to: str = EMAIL, **what: Any) -> None:
    """Put a mail into the outbox."""

    async def unit(session: AsyncSession) -> None:
        await outbox.post(session, template, User(id=7, email=to), **what)
        for mail in session.new:  # by the clock of the test: a column's default knows only the real one
            mail.created_on = mail.due_on = clock.now()

    async with app.app_context():
        await db.write(unit)


async def deliver(app: Quart) -> int:
    """Deliver all that is due, and return how many mails were tried."""
    tried = 0
    async with app.app_context():
        while some := await mailer.deliver_some():
            tried += some
    return tried


async def claim(app: Quart) -> Mail:
    """Take the mail, as one that then dies does."""
    (mail,) = await mails(app)
    async with app.app_context():
        claimed = await db.write(outbox.claim, mail.id, tries=mail.tries)
    assert claimed is not None
    return claimed


async def sweep(app: Quart) -> None:
    async with app.app_context():
        await db.write(sweeping.sweep)


async def comes_to(app: Quart, state: str) -> list[Mail]:
    """Wait until every mail in the outbox has come to a state."""
    deadline, found = time.monotonic() + PATIENCE, await mails(app)
    while {mail.state for mail in found} != {state}:
        assert time.monotonic() < deadline, [(mail.state, mail.error) for mail in found]
        found = await mails(app)
    return found


async def is_logged(log: pytest.LogCaptureFixture, event: str) -> None:
    """Wait until an event stands in the log."""
    deadline = time.monotonic() + PATIENCE
    while event not in log.text:
        assert time.monotonic() < deadline, log.text
        await asyncio.sleep(0.02)


def part_of(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def text_of(message: EmailMessage) -> str:
    return part_of(message, "plain")


def html_of(message: EmailMessage) -> str:
    return part_of(message, "html")


class Seen(HTMLParser):
    """What a person sees of a page: its paragraphs, and where its links lead."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.targets: list[str] = []
        self.paragraphs: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.targets += [value or "" for name, value in attrs if name == "href"]
        if tag == "p":
            self.paragraphs.append("")

    def handle_data(self, data: str) -> None:
        if self.paragraphs:
            self.paragraphs[-1] += data.strip("\n")


def check_same(message: EmailMessage) -> None:
    """See that both forms say the same, one thing after the other."""
    seen = Seen(html_of(message))
    said = [part.removeprefix("-- \n").strip() for part in text_of(message).split("\n\n")]
    assert [part for part in seen.paragraphs if part not in (message["Subject"], *letters.BUTTONS.values())] == said
    assert seen.tags <= TAGS
    assert set(seen.targets) == {part for part in said if part.startswith("http")}


def said_by_us(log: pytest.LogCaptureFixture) -> str:
    """Return the lines of the log, without those of the mail server, which is not part of the site."""
    records = [record for record in log.records if record.name != "mail.log"]
    return "\n".join(log.handler.format(record) for record in records)


async def test_what_a_request_reports_arrives_at_once(settings: dict[str, Any], server: MailServer) -> None:
    async with serving(settings) as app:
        client = app.test_client()
        await create_user(app)
        await log_in(client)
        await change_password(client)

        subjects = [str((await server.arrival(number))["Subject"]) for number in (1, 2)]
        found = await comes_to(app, "sent")

    assert sorted(subjects) == ["A log-in from a new browser", "Your password was changed"]
    assert [(mail.recipient, mail.tries) for mail in found] == [(EMAIL, 1)] * 2


async def test_a_mail_has_one_of_each_header_and_says_from_whom_it_is(app: Quart, server: MailServer) -> None:
    await post(app)
    (mail,) = await mails(app)
    await deliver(app)

    (message,), (envelope,) = server.messages, server.envelopes
    assert sorted(message.keys()) == HEADERS
    assert (message["From"], message["To"]) == ("Example Site <site@example.com>", EMAIL)
    assert (message["Subject"], message["Auto-Submitted"]) == ("Mail works", "auto-generated")
    assert parsedate_to_datetime(message["Date"]) == mail.created_on
    assert re.fullmatch(rf"<{mail.id}\.\d{{14}}@localhost>", message["Message-ID"])
    assert message.get_content_type() == "multipart/alternative"
    assert (envelope.mail_from, envelope.rcpt_tos) == ("site@example.com", [EMAIL])


async def test_its_link_works_and_stands_in_both_forms(settings: dict[str, Any], server: MailServer) -> None:
    async with serving(settings) as app:
        client = app.test_client()
        await create_user(app)
        await client.post("/reset", form={"email": EMAIL})
        message = await server.arrival()
        (path,) = re.findall(rf"^{app.config['BASE_URL']}(/reset/\S+)$", text_of(message), re.MULTILINE)

        assert (await client.get(path)).status_code == 200
    check_same(message)
    assert html_of(message).count(f'href="{app.config["BASE_URL"]}{path}"') == 1


@on_sqlite
@pytest.mark.parametrize(
    ("template", "with_link"),
    [*((name, True) for name in TEMPLATES), *((name, False) for name in TEMPLATES if name not in ALL_LINK)],
)
async def test_both_forms_of_every_mail_say_the_same(
    app: Quart, server: MailServer, template: str, *, with_link: bool
) -> None:
    link = Link(Purpose.RESET, SECRET, timedelta(hours=1)) if with_link else None
    facts = FACTS | {"user_agent": HOSTILE, "ip": HOSTILE, "new_email": HOSTILE_EMAIL}
    await post(app, template, facts=facts, link=link)
    await deliver(app)

    (message,) = server.messages
    check_same(message)
    assert html_of(message).startswith("<!doctype html>")
    assert not re.search(r"\{\{|\}\}|\{%|None|Undefined|&amp;amp;|&amp;#", text_of(message) + html_of(message))
    assert "&lt;" not in text_of(message)


@on_sqlite
@pytest.mark.parametrize("template", TEMPLATES)
async def test_every_template_has_a_subject_of_one_short_line(app: Quart, template: str) -> None:
    for facts in (FACTS, {"time": FACTS["time"]}):
        for recoverable in (True, False):
            app.config["SECURITY_RECOVERABLE"] = recoverable
            mail = Mail(id=1, template=template, recipient=EMAIL, facts=facts, created_on=clock.now())
            mail.purpose, mail.secret = (Purpose.NOT_ME, SECRET)
            async with app.app_context():
                letter = await letters.write(mail)

            assert 5 < len(letter.subject) < 78
            assert letter.subject.isprintable()
            assert letter.text.count(letter.subject) == 0  # which is above it already
            assert bool(letter.link) is recoverable


@on_sqlite
@pytest.mark.parametrize("template", ["email_changed", "new_log_in", "password_changed"])
async def test_a_notice_says_when_from_where_and_with_what(app: Quart, server: MailServer, template: str) -> None:
    facts = FACTS if template == "email_changed" else {name: FACTS[name] for name in ("user_agent", "ip", "time")}
    await post(app, template, facts=facts)
    await deliver(app)

    told = "Jan 2, 2030, 3:04\N{NARROW NO-BREAK SPACE}AM UTC, from 192.0.2.7, with: Firefox on Linux"
    assert told in text_of(server.messages[0])
    assert facts.get("new_email", "") in text_of(server.messages[0])


async def test_a_hostile_address_and_browser_come_out_as_they_are(settings: dict[str, Any], server: MailServer) -> None:
    async with serving(settings | {"SECURITY_SEND_REGISTER_EMAIL": True}) as app:
        client = app.test_client()
        headers = {"User-Agent": HOSTILE}
        await client.post("/register", form=form_of(HOSTILE_EMAIL), headers=headers)
        welcome = await server.arrival()
        await client.post("/login", form={"email": HOSTILE_EMAIL, "password": PASSWORD}, headers=headers)

    assert HOSTILE_EMAIL in text_of(welcome)
    assert "a&amp;b&#39;c@example.com" in html_of(welcome)
    assert [envelope.rcpt_tos for envelope in server.envelopes] == [[HOSTILE_EMAIL]] * len(server.envelopes)
    for message in server.messages:
        check_same(message)
        assert message["To"] == HOSTILE_EMAIL
        assert "script" not in message.as_string()


def form_of(email: str) -> dict[str, str]:
    return {"email": email, "password": PASSWORD, "password_confirm": PASSWORD}


@on_sqlite
@pytest.mark.parametrize("template", ["email_changed", "new_log_in", "welcome"])
async def test_no_fact_of_a_mail_gets_into_its_headers(app: Quart, server: MailServer, template: str) -> None:
    injected = dict.fromkeys((*FACTS, "email", "site", "link", "config"), INJECTED) | {"time": FACTS["time"]}
    await post(app, template, facts=injected)
    await deliver(app)

    for message, envelope in zip(server.messages, server.envelopes, strict=True):
        assert sorted(message.keys()) == HEADERS
        assert envelope.rcpt_tos == [EMAIL]
        assert Seen(html_of(message)).targets == [app.config["BASE_URL"]]


@pytest.mark.parametrize(
    "recipient",
    [
        f"{EMAIL}, eve@example.com",
        f"{EMAIL}\r\nBcc: eve@example.com",
        f"{EMAIL}\nRCPT TO:<eve@example.com>",
        f"Ada <{EMAIL}>",
        f"{EMAIL}> <eve@example.com",
        f"eve@example.com:{EMAIL};",
        f"{EMAIL}\0",
        "ada",
        "@example.com",
        "",
    ],
)
@on_sqlite
async def test_a_recipient_that_is_not_one_address_gets_nothing_and_nor_does_anybody_else(
    app: Quart, server: MailServer, recipient: str
) -> None:
    async with app.app_context():
        mail = Mail(template="test", recipient=recipient, facts={}, expires_on=clock.now() + timedelta(days=1))
        await db.write(keep, mail)
    await deliver(app)

    (mail,) = await mails(app)
    assert server.envelopes == []
    assert mail.state != "sent"
    assert mail.error


async def keep(session: AsyncSession, mail: Mail) -> None:
    session.add(mail)


async def test_an_address_with_letters_of_another_alphabet_is_written_as_every_server_takes_it(
    settings: dict[str, Any], server: MailServer
) -> None:
    sender = {"MAIL_DEFAULT_SENDER": "Bücher & mehr <site@bücher.example>"}
    async with serving_still(settings | sender) as app:
        await post(app, to="ada@bücher.example")
        await deliver(app)

    (message,), (envelope,) = server.messages, server.envelopes
    assert envelope.rcpt_tos == ["ada@xn--bcher-kva.example"]
    assert envelope.mail_from == "site@xn--bcher-kva.example"
    assert message["From"].addresses[0].display_name == "Bücher & mehr"
    assert message.as_bytes().split(b"\n\n")[0].isascii()


async def test_a_link_leads_below_the_base_url_whatever_host_was_asked(
    settings: dict[str, Any], server: MailServer
) -> None:
    async with serving(settings | PUBLIC | {"TRUSTED_HOSTS": "other.example"}) as app:
        await create_user(app)
        headers = {"Host": "other.example", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
        answer = await app.test_client().post("/reset", form={"email": EMAIL}, headers=headers)
        message = await server.arrival()

    assert answer.status_code == 303
    assert "https://www.example.com/reset/" in text_of(message)
    assert "evil.example" not in message.as_string()
    assert "other.example" not in message.as_string()
    assert message["Message-ID"].endswith("@www.example.com>")


@on_sqlite
@pytest.mark.parametrize("base_url", ["http://[::1]:5000", "http://127.0.0.1:5000"])
async def test_a_mail_of_a_site_without_a_name_has_a_valid_id_too(
    settings: dict[str, Any], server: MailServer, base_url: str
) -> None:
    async with serving_still(settings | {"BASE_URL": base_url}) as app:
        await post(app)
        await deliver(app)

    assert server.messages[0]["Message-ID"].defects == ()


@on_sqlite
async def test_an_address_that_changes_gets_the_mails_that_were_written_before(
    app: Quart, client: TestClientProtocol, server: MailServer
) -> None:
    await create_user(app)
    await client.post("/reset", form={"email": EMAIL})
    await execute(app, text("UPDATE user SET email = 'eve@example.com', email_key = 'eve@example.com'"))
    await deliver(app)

    assert [envelope.rcpt_tos for envelope in server.envelopes] == [[EMAIL]]


LATER = {
    "to_sender": ["451 4.3.0 try later", "550 5.7.1 we know you not"],
    "to_recipient": ["421 4.3.2 closing", "450 4.2.1 try later"],
    "to_data": ["421 4.3.2 closing", "451 4.3.0 try later", "452 4.3.1 full"],
}
NEVER = {
    "to_recipient": ["550 5.1.1 no such person", "553 5.1.3 no such address"],
    "to_data": ["552 5.3.4 too big", "554 5.7.1 spam"],
}


@pytest.mark.parametrize(("step", "said"), [(step, said) for step, all_said in LATER.items() for said in all_said])
async def test_a_mail_that_is_refused_for_now_is_tried_again(
    app: Quart, server: MailServer, moved_clock: MovedClock, step: str, said: str
) -> None:
    setattr(server, step, said)
    await post(app)
    assert await deliver(app) == 1
    (mail,) = await mails(app)
    assert (mail.state, mail.tries) == ("waiting", 1)
    assert said[:3] in (mail.error or "") or "closing" in said

    setattr(server, step, "250 OK")
    moved_clock.forward(timedelta(minutes=1))
    assert await deliver(app) == 1
    assert [mail.state for mail in await mails(app)] == ["sent"]
    assert len(server.envelopes) == 1


@pytest.mark.parametrize(("step", "said"), [(step, said) for step, all_said in NEVER.items() for said in all_said])
async def test_a_mail_that_is_refused_for_good_is_given_up_and_says_why(
    app: Quart, server: MailServer, moved_clock: MovedClock, log: pytest.LogCaptureFixture, step: str, said: str
) -> None:
    setattr(server, step, said)
    await post(app)
    await deliver(app)
    setattr(server, step, "250 OK")
    moved_clock.forward(timedelta(hours=2))

    assert await deliver(app) == 0
    (mail,) = await mails(app)
    assert (mail.state, mail.sent_on, mail.tries) == ("not sent", None, 1)
    assert said[:3] in (mail.error or "")
    assert said[4:] in (mail.error or "")
    assert "mail_refused" in log.text
    assert server.envelopes == []


async def test_where_nobody_listens_a_mail_waits_until_somebody_does(
    settings: dict[str, Any], moved_clock: MovedClock
) -> None:
    absent = MailServer()
    async with serving_still(settings | absent.settings) as app:
        await post(app)
        assert await deliver(app) == 1
        (mail,) = await mails(app)
        assert (mail.state, mail.tries) == ("waiting", 1)

        moved_clock.forward(timedelta(minutes=1))
        with absent.running():
            assert await deliver(app) == 1
    assert len(absent.envelopes) == 1


@pytest.mark.parametrize("limit", ["SECONDS", "LONGEST"])
async def test_a_server_that_hangs_is_left_in_time(
    app: Quart, server: MailServer, moved_clock: MovedClock, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    server.hang.set()
    await post(app)

    since = time.monotonic()
    with monkeypatch.context() as patched:
        patched.setattr(mailer, limit, 0.3)
        assert await deliver(app) == 1
    assert time.monotonic() - since < 5
    (mail,) = await mails(app)
    assert mail.state == "waiting"
    assert "Timeout" in (mail.error or "")
    server.hang.clear()
    moved_clock.forward(timedelta(minutes=1))
    await deliver(app)
    assert [mail.state for mail in await mails(app)] == ["sent"]


async def test_a_server_that_is_gone_after_it_has_the_mail_gets_it_again_under_the_same_id(
    app: Quart, server: MailServer, moved_clock: MovedClock
) -> None:
    server.gone_after_data = True
    await post(app)
    await deliver(app)
    assert [mail.state for mail in await mails(app)] == ["waiting"]

    server.gone_after_data = False
    moved_clock.forward(timedelta(minutes=1))
    await deliver(app)

    first, second = server.messages
    assert first["Message-ID"] == second["Message-ID"]
    assert first["Date"] == second["Date"]
    assert [mail.state for mail in await mails(app)] == ["sent"]


async def test_a_server_that_is_gone_after_it_said_yes_gets_the_mail_once(
    app: Quart, server: MailServer, moved_clock: MovedClock
) -> None:
    server.gone_at_quit = True
    await post(app)
    await deliver(app)
    moved_clock.forward(timedelta(hours=1))

    assert await deliver(app) == 0
    assert [mail.state for mail in await mails(app)] == ["sent"]
    assert len(server.envelopes) == 1


@on_sqlite
async def test_the_server_takes_our_name_and_password(settings: dict[str, Any]) -> None:
    with MailServer(login=("site", "s3cret")).running() as server:
        ours = server.settings | {"MAIL_USERNAME": "site", "MAIL_PASSWORD": "s3cret"}
        async with serving_still(settings | ours) as app:
            await post(app)
            await deliver(app)

    assert len(server.envelopes) == 1


@on_sqlite
@pytest.mark.parametrize("shown", [{"MAIL_USERNAME": "site", "MAIL_PASSWORD": "wr0ng"}, {}])
async def test_a_mail_waits_when_the_server_refuses_our_password(
    settings: dict[str, Any], moved_clock: MovedClock, log: pytest.LogCaptureFixture, shown: dict[str, str]
) -> None:
    with MailServer(login=("site", "s3cret")).running() as server:
        async with serving_still(settings | server.settings | shown) as app:
            await post(app)
            await deliver(app)
            (mail,) = await mails(app)
            assert (mail.state, mail.tries) == ("waiting", 1)
            assert ("535" if shown else "530") in (mail.error or "")
            server.login = ("site", "wr0ng") if shown else None  # whoever looks after it has put it right
            moved_clock.forward(timedelta(minutes=1))
            await deliver(app)

    assert len(server.envelopes) == 1
    assert "wr0ng" not in said_by_us(log)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificate")
    make_certificate(folder)
    return folder


over_tls = pytest.mark.parametrize("setting", ["MAIL_USE_TLS", "MAIL_USE_SSL"])


@asynccontextmanager
async def sending_over_tls(
    settings: dict[str, Any], folder: Path, setting: str, **others: Any
) -> AsyncIterator[tuple[Quart, MailServer]]:
    """Deliver a mail to a server that says it is `localhost`, with a password."""
    wrapped, login = setting == "MAIL_USE_SSL", ("site", "s3cret")
    with MailServer(certificate=folder, wrapped=wrapped, login=login).running() as server:
        ours = {"MAIL_SERVER": "localhost", "MAIL_USERNAME": "site", "MAIL_PASSWORD": "s3cret", setting: True}
        async with serving_still(settings | server.settings | ours | others) as app:
            await post(app)
            await deliver(app)
            yield app, server


@on_sqlite
@over_tls
async def test_a_mail_leaves_encrypted_to_a_server_that_is_trusted(
    settings: dict[str, Any], certificate: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
    async with sending_over_tls(settings, certificate, setting) as (_app, server):
        assert server.encrypted == [True]


@on_sqlite
@over_tls
async def test_a_certificate_that_nobody_vouches_for_is_refused(
    settings: dict[str, Any], certificate: Path, setting: str
) -> None:
    async with sending_over_tls(settings, certificate, setting) as (app, server):
        (mail,) = await mails(app)

    assert mail.state == "waiting"
    assert "self-signed certificate" in (mail.error or "")
    assert (server.passwords, server.envelopes) == ([], [])


@on_sqlite
@over_tls
async def test_a_certificate_of_another_name_is_refused(
    settings: dict[str, Any], certificate: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
    async with sending_over_tls(settings, certificate, setting, MAIL_SERVER="127.0.0.1") as (app, server):
        (mail,) = await mails(app)

    assert mail.state == "waiting"
    assert "certificate is not valid for '127.0.0.1'" in (mail.error or "")
    assert (server.passwords, server.envelopes) == ([], [])


@on_sqlite
@over_tls
async def test_nothing_leaves_in_the_clear_where_tls_was_asked_for(
    settings: dict[str, Any], server: MailServer, setting: str
) -> None:
    async with serving_still(settings | {setting: True}) as app:
        await post(app)
        await deliver(app)

        assert [mail.state for mail in await mails(app)] == ["waiting"]
    assert server.envelopes == []


@on_sqlite
async def test_a_server_that_could_do_tls_gets_mails_without_it_where_it_was_not_asked_for(
    settings: dict[str, Any], certificate: Path
) -> None:
    with MailServer(certificate=certificate).running() as server:
        async with serving_still(settings | server.settings) as app:
            await post(app)
            await deliver(app)

    assert server.encrypted == [False]


async def test_a_mail_is_tried_after_a_minute_two_four_and_so_on_up_to_an_hour(
    app: Quart, server: MailServer, moved_clock: MovedClock
) -> None:
    server.to_recipient = "450 4.2.1 try later"
    await post(app)

    for minutes in MINUTES:
        assert await deliver(app) == 1
        moved_clock.forward(timedelta(minutes=minutes) - SECOND)
        assert await deliver(app) == 0
        moved_clock.forward(SECOND)

    server.to_recipient = "250 OK"
    assert await deliver(app) == 1
    assert [(mail.state, mail.tries) for mail in await mails(app)] == [("sent", len(MINUTES) + 1)]


@pytest.mark.parametrize(
    ("link", "lifetime"),
    [(Link(Purpose.RESET, SECRET, timedelta(hours=1)), timedelta(hours=1)), (None, timedelta(days=5))],
)
async def test_a_mail_is_tried_until_it_is_worth_nothing_any_more(
    app: Quart, server: MailServer, moved_clock: MovedClock, link: Link | None, lifetime: timedelta
) -> None:
    for _ in range(2):
        await post(app, "reset" if link else "test", link=link)
    moved_clock.forward(lifetime - SECOND)
    server.to_recipient = "450 4.2.1 try later"
    assert await deliver(app) == 2
    await execute(app, text("UPDATE mail SET due_on = created_on"))
    server.to_recipient = "250 OK"
    moved_clock.forward(SECOND)

    assert await deliver(app) == 0
    assert server.envelopes == []
    await sweep(app)
    assert await mails(app) == []


async def test_several_processes_on_one_database_send_each_mail_once(
    settings: dict[str, Any], server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailer, "EVERY", 0.05)
    async with serving(settings) as one, serving(settings) as other:
        for number in range(12):
            await post(one if number % 2 else other, to=f"person-{number}@example.com")
        found = await comes_to(one, "sent")

    assert len(found) == len(server.envelopes) == 12
    assert {mail.tries for mail in found} == {1}


async def test_a_mail_of_one_that_was_killed_is_due_again_after_two_minutes(
    app: Quart, server: MailServer, moved_clock: MovedClock
) -> None:
    await post(app)
    await claim(app)

    moved_clock.forward(timedelta(minutes=2) - SECOND)
    assert await deliver(app) == 0
    moved_clock.forward(SECOND)
    assert await deliver(app) == 1
    assert [(mail.state, mail.tries) for mail in await mails(app)] == [("sent", 2)]
    assert len(server.envelopes) == 1


@pytest.mark.parametrize("verb", [outbox.mark_sent, outbox.put_off, outbox.give_up])
async def test_one_that_was_thought_dead_does_not_meddle_afterwards(
    app: Quart, moved_clock: MovedClock, verb: Any
) -> None:
    await post(app, "reset", link=Link(Purpose.RESET, SECRET, timedelta(hours=1)))
    slow = await claim(app)
    moved_clock.forward(timedelta(minutes=2))
    quick = await claim(app)

    async with app.app_context():
        await db.write(verb, slow, **({} if verb is outbox.mark_sent else {"error": "too slow"}))

    (mail,) = await mails(app)
    assert (mail.state, mail.tries, mail.due_on) == ("waiting", 2, quick.due_on)
    assert (mail.error, mail.secret) == (None, SECRET)


async def test_a_mailer_outlives_trouble_with_the_database(
    settings: dict[str, Any], server: MailServer, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(mailer, "EVERY", 0.05)
    async with serving(settings) as app:
        await execute(app, text("ALTER TABLE mail RENAME TO mail_away"))
        try:
            await is_logged(log, "mailer_failed")
        finally:
            await execute(app, text("ALTER TABLE mail_away RENAME TO mail"))
        await post(app)
        await server.arrival()


async def test_mails_that_cannot_be_written_hold_up_no_others(
    app: Quart, server: MailServer, moved_clock: MovedClock
) -> None:
    for _ in range(2 * mailer.AT_ONCE):
        await post(app, "no_such_template")
    moved_clock.forward(SECOND)
    await post(app)

    assert await deliver(app) == 2 * mailer.AT_ONCE + 1

    assert len(server.envelopes) == 1
    broken = await mails(app, "no_such_template")
    assert {(mail.state, mail.tries) for mail in broken} == {("waiting", 1)}
    assert all("no_such_template" in (mail.error or "") for mail in broken)


async def test_a_mail_that_hangs_holds_up_no_others_at_other_servers_of_ours(
    settings: dict[str, Any], server: MailServer
) -> None:
    with MailServer().running() as well:
        async with serving_still(settings) as app, serving_still(settings | well.settings) as other:
            server.hang.set()
            await post(app)
            hanging = asyncio.create_task(deliver(app))
            await asyncio.to_thread(server.hangs.wait, 10)
            await post(app)
            assert await deliver(other) == 1
            server.hang.clear()
            await hanging

    assert (len(server.envelopes), len(well.envelopes)) == (1, 1)


async def test_a_unit_that_is_rolled_back_leaves_no_mail(app: Quart, server: MailServer) -> None:
    async def unit(session: AsyncSession) -> None:
        await outbox.post(session, "test", User(id=7, email=EMAIL))
        await session.flush()
        raise ZeroDivisionError

    async with app.app_context():
        with pytest.raises(ZeroDivisionError):
            await db.write(unit)

    assert await mails(app) == []
    assert await deliver(app) == 0


async def test_what_was_sent_keeps_neither_its_link_nor_what_it_said_and_is_swept_after_a_week(
    app: Quart, server: MailServer, moved_clock: MovedClock
) -> None:
    server.to_recipient = "450 4.2.1 try later"
    await post(app, "new_log_in", facts=FACTS, link=Link(Purpose.NOT_ME, SECRET, timedelta(days=7)))
    await deliver(app)
    server.to_recipient = "250 OK"
    moved_clock.forward(timedelta(days=1))
    await deliver(app)

    (mail,) = await mails(app)
    assert (mail.state, mail.sent_on, mail.due_on) == ("sent", clock.now(), None)
    assert (mail.secret, mail.facts, mail.error) == (None, {}, None)
    moved_clock.forward(timedelta(days=7) - SECOND)
    await sweep(app)
    assert len(await mails(app)) == 1
    moved_clock.forward(SECOND)
    await sweep(app)
    assert await mails(app) == []


async def test_a_farewell_leaves_nothing_behind(app: Quart, client: TestClientProtocol, server: MailServer) -> None:
    await register(client)
    await client.post("/reset", form={"email": EMAIL})
    await client.post("/account/delete", form={"password": PASSWORD})
    await deliver(app)

    assert [(message["Subject"], message["To"]) for message in server.messages] == [("Your account is deleted", EMAIL)]
    assert await mails(app) == []


@pytest.mark.parametrize("address", [EMAIL, HOSTILE_EMAIL, "o'neil.ada@bücher.example"])
@pytest.mark.parametrize("said", ["250 OK", "450 4.2.1 <{}> is full", "550 5.1.1 no {} here"])
@on_sqlite
async def test_no_token_and_no_address_stands_in_the_log(
    settings: dict[str, Any], server: MailServer, log: pytest.LogCaptureFixture, address: str, said: str
) -> None:
    server.to_recipient = said.format(address.replace("ü", "u"))
    async with serving(settings) as app:
        client = app.test_client()
        await create_user(app, address)
        await client.post("/reset", form={"email": address})
        (mail,) = await mails(app)
        path = await link(app, "reset")
        await is_logged(log, "template=reset")
        await client.get(path)

    assert re.search("mail_(sent|put_off|refused)", said_by_us(log))
    for secret in (mail.secret or SECRET, path, path.rpartition("/")[2], address, address.partition("@")[0]):
        assert secret not in said_by_us(log)


@on_sqlite
async def test_a_server_that_quotes_the_link_brings_it_not_into_the_log(
    app: Quart, client: TestClientProtocol, server: MailServer, log: pytest.LogCaptureFixture
) -> None:
    await create_user(app)
    await client.post("/reset", form={"email": EMAIL})
    path = await link(app, "reset")
    server.to_data = f"554 5.7.1 spam: http://localhost:5000{path}"
    await deliver(app)

    assert "554" in said_by_us(log)
    assert path.rpartition("/")[2] not in said_by_us(log)
    (mail,) = await mails(app)
    assert path.rpartition("/")[2] not in (mail.error or "")


async def test_a_public_site_without_a_server_tells_nobody_a_link_and_sends_nothing(
    settings: dict[str, Any], log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailer, "EVERY", 0.05)
    async with serving(settings | PUBLIC | {"MAIL_SERVER": ""}) as app:
        await post(app, "new_log_in", link=Link(Purpose.NOT_ME, SECRET, timedelta(days=7)))
        await asyncio.sleep(0.5)  # many times what it needs
        (mail,) = await mails(app)

    assert (mail.state, mail.tries) == ("waiting", 0)
    assert "mail_" not in said_by_us(log)
    assert SECRET not in log.text
    assert EMAIL not in log.text


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"MAIL_SERVER": "mail.example.com"}, "MAIL_DEFAULT_SENDER is ''"),
        ({"MAIL_SERVER": "mail.example.com", "MAIL_DEFAULT_SENDER": "site"}, "MAIL_DEFAULT_SENDER is 'site'"),
        ({"MAIL_SERVER": "mail.example.com", "MAIL_DEFAULT_SENDER": "Site <site@>"}, "MAIL_DEFAULT_SENDER is"),
        ({"MAIL_SERVER": "mail.example.com", "MAIL_DEFAULT_SENDER": "A, B <s@example.com>"}, "MAIL_DEFAULT_SENDER"),
        (
            {"MAIL_SERVER": "m.example.com", "MAIL_DEFAULT_SENDER": '"A\nBcc: eve@example.com" <s@example.com>'},
            "MAIL_DEFAULT_SENDER",
        ),
        ({"MAIL_USE_TLS": True, "MAIL_USE_SSL": True}, "MAIL_USE_TLS and MAIL_USE_SSL exclude each other"),
        ({"MAIL_PORT": 0}, "MAIL_PORT lies between 1 and 65535"),
        ({"MAIL_PORT": "smtp"}, "MAIL_PORT is 'smtp'"),
        ({"MAIL_USE_TLS": "perhaps"}, "MAIL_USE_TLS is 'perhaps'"),
        ({"SECURITY_CONFIRMABLE": True, **PUBLIC}, "SECURITY_CONFIRMABLE needs a MAIL_SERVER"),
        ({"SECURITY_CONFIRMABLE": True, "TRUSTED_PROXIES": 1}, "SECURITY_CONFIRMABLE needs a MAIL_SERVER"),
    ],
)
def test_settings_with_which_mail_could_not_leave_stop_the_start(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        create_app({"SECRET_KEY": SECRET_KEY} | wrong)

    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "recoverable"),
    [
        ({}, True),
        (PUBLIC, False),
        (PUBLIC | {"MAIL_SERVER": "mail.example.com", "MAIL_DEFAULT_SENDER": "site@example.com"}, True),
        ({"TRUSTED_PROXIES": 1}, False),
        ({"SECURITY_RECOVERABLE": False}, False),
    ],
)
def test_who_cannot_get_a_mail_is_not_offered_a_reset(given: dict[str, Any], *, recoverable: bool) -> None:
    app = create_app({"SECRET_KEY": SECRET_KEY} | given)

    assert ("recoveries" in app.blueprints, app.config["SECURITY_RECOVERABLE"]) == (recoverable, recoverable)


@on_sqlite
def test_the_command_sends_a_test_now(commands: Commands, server: MailServer) -> None:
    assert commands.succeed("mail", "test", EMAIL) == f"127.0.0.1:{server.port} has taken it.\n"

    (message,) = server.messages
    assert (message["To"], message["Subject"]) == (EMAIL, "Mail works")
    check_same(message)


@on_sqlite
@pytest.mark.parametrize(
    ("address", "changed", "said"),
    [
        (EMAIL, {"MAIL_PORT": str(free_port())}, "SMTPConnectError"),
        (EMAIL, {"MAIL_SERVER": ""}, "MAIL_SERVER is empty"),
        (EMAIL, {"MAIL_SERVER": "mail..example.com"}, "mail..example.com"),
        (EMAIL, {"MAIL_USE_TLS": "1"}, "STARTTLS"),
        (f"{EMAIL}, eve@example.com", {}, "Error: "),
    ],
)
def test_the_command_refuses_with_a_line_that_says_why(
    commands: Commands, server: MailServer, address: str, changed: dict[str, str], said: str
) -> None:
    assert said in commands.refusal("mail", "test", address, **changed)
    assert server.envelopes == []


async def test_a_stop_does_not_wait_long_and_the_mail_arrives_later(
    settings: dict[str, Any], server: MailServer, moved_clock: MovedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailer, "LEAVING", 0.3)
    async with serving(settings) as app:
        server.hang.set()
        await post(app)
        app.extensions["mailer"].woken.set()
        await asyncio.to_thread(server.hangs.wait, 10)
        since = time.monotonic()
        await app.extensions["mailer"].stop()
        assert time.monotonic() - since < 1
        assert app.extensions["mailer"].delivering.done()

        server.hang.clear()
        moved_clock.forward(outbox.CLAIMED)
        await deliver(app)
        assert [(mail.state, mail.tries) for mail in await mails(app)] == [("sent", 2)]
    assert len({str(message["Message-ID"]) for message in server.messages}) == 1


@pytest.fixture
def instance(tmp_path: Path, sqlite_template: Path) -> Path:
    """Return the folder of a site that runs in processes of its own."""
    shutil.copy(sqlite_template, tmp_path / "app.db")
    return tmp_path


def ask_for_a_reset(address: str) -> None:
    """Open an account over HTTP, and ask for a link to it."""
    with httpx.Client(base_url=f"http://{address}", headers={"Sec-Fetch-Site": "same-origin"}) as client:
        assert client.post("/register", data=form_of(EMAIL)).status_code == 303
        assert client.post("/reset", data={"email": EMAIL}).status_code == 303


def set_due(instance: Path) -> None:
    """Let two minutes pass: what was claimed is due again."""
    with closing(sqlite3.connect(instance / "app.db", timeout=10)) as connection, connection:
        moved = connection.execute("UPDATE mail SET due_on = created_on WHERE sent_on IS NULL").rowcount
    assert moved == 1


@contextmanager
def running_site(instance: Path, server: MailServer, *, workers: int) -> Iterator[Server]:
    """Run a site that sends its mails to a server."""
    ours = server.settings
    with running(
        instance,
        *("--workers", str(workers)),
        workers=workers,
        MAIL_SERVER=ours["MAIL_SERVER"],
        MAIL_PORT=ours["MAIL_PORT"],
        MAIL_DEFAULT_SENDER=ours["MAIL_DEFAULT_SENDER"],
    ) as site:
        yield site


@pytest.mark.slow
def test_a_site_that_is_killed_in_the_middle_of_a_delivery_loses_no_mail(instance: Path) -> None:
    with MailServer().running() as hanging:
        hanging.hang.set()
        with running_site(instance, hanging, workers=2) as site:
            ask_for_a_reset(site.address)
            assert hanging.hangs.wait(10)
            os.killpg(site.process.pid, signal.SIGKILL)
            site.process.wait(10)

    set_due(instance)
    with MailServer(port=hanging.port).running() as well, running_site(instance, well, workers=2) as site:
        well.wait_for(1, seconds=20)
        site.wait_for(lambda: "mail_sent" in site.log.read_text())
        assert site.end() == 0

    (message,) = well.messages
    assert (message["To"], message["Subject"]) == (EMAIL, "Choose a new password")
    assert {str(copy["Message-ID"]) for copy in hanging.messages} <= {str(message["Message-ID"])}


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_site_that_is_told_to_end_during_a_delivery_ends_in_time(instance: Path, workers: int) -> None:
    with MailServer().running() as server:
        server.hang.set()
        with running_site(instance, server, workers=workers) as site:
            ask_for_a_reset(site.address)
            assert server.hangs.wait(10)
            since = time.monotonic()
            assert site.end() == 0
            assert time.monotonic() - since < 8

    log = site.log.read_text()
    assert log.count("Connections in pool: 0") == workers
    assert "Traceback" not in log
    set_due(instance)  # which says that it is still there


async def test_of_many_who_claim_a_mail_one_gets_it(app: Quart) -> None:
    await post(app)
    (mail,) = await mails(app)

    async def claim_it() -> Mail | None:
        async with app.app_context():
            return await db.write(outbox.claim, mail.id, tries=0)

    claimed = await asyncio.gather(*(claim_it() for _ in range(8)))

    assert [mail.tries for mail in claimed if mail is not None] == [1]
