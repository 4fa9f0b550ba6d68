"""Where there is no mail server: a line in the log, and a page that shows the mails to this machine alone."""

import re
import time
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from quart import Quart, Response
from quart.typing import TestClientProtocol

from app import mailer
from app.models import Mail, clock, db
from conftest import serving
from letters_read import link, mails
from people import EMAIL, PASSWORD, create_user, register
from smtp_server import MailServer
from test_mailer import HOSTILE_EMAIL, PUBLIC, comes_to, deliver, is_logged, keep, post

MAILBOX = "/dev/mailbox"
NEAR = {"client": ("127.0.0.1", 5)}
FAR = ["192.0.2.7", "10.0.0.1", "0.0.0.0", "::", "2001:db8::7", "::ffff:192.0.2.7", "fe80::1", "localhost", "", "[::1"]  # noqa: S104
FORWARDED = [
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Real-IP",
    "Via",
    "CF-Connecting-IP",
    "True-Client-IP",
]

on_sqlite = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)


async def look(client: TestClientProtocol, path: str = MAILBOX, **how: Any) -> Response:
    return await client.get(path, **({"scope_base": NEAR} | how))


async def shown(client: TestClientProtocol) -> str:
    """Return the page, as a person on this machine sees it."""
    answer = await look(client)
    assert answer.status_code == 200
    return await answer.get_data(as_text=True)


async def ask_for_a_reset(app: Quart, email: str = EMAIL) -> str:
    """Return the path of the link that a person asked for, once it was told of."""
    await create_user(app, email)
    await app.test_client().post("/reset", form={"email": email})
    await comes_to(app, "not sent")
    return await link(app, "reset", to=email)


async def check_absent(client: TestClientProtocol, **how: Any) -> None:
    """See that there is no more to see than where there is no page at all."""
    answers = [await look(client, path, **how) for path in (MAILBOX, "/dev/no-such-page")]
    bodies = [re.sub("<code>.*?</code>", "", await answer.get_data(as_text=True)) for answer in answers]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert bodies[0] == bodies[1]
    assert EMAIL not in bodies[0]


async def test_the_log_gives_the_link_once(app: Quart, log: pytest.LogCaptureFixture) -> None:
    path = await ask_for_a_reset(app)
    await deliver(app)
    await deliver(app)

    (line,) = [line for line in log.text.splitlines() if "mail_kept" in line]
    assert f"link={app.config['BASE_URL']}{path}" in line
    assert 'subject="Choose a new password"' in line
    assert log.text.count(path) == 1
    assert EMAIL not in log.text


async def test_the_link_in_the_log_works(app: Quart, client: TestClientProtocol, log: pytest.LogCaptureFixture) -> None:
    await ask_for_a_reset(app)

    (path,) = re.findall(r"link=http://localhost:5000(/reset/\S+)", log.text)
    assert (await client.get(path)).status_code == 200


async def test_a_mail_stays_with_all_that_it_says(app: Quart, monkeypatch: pytest.MonkeyPatch) -> None:
    await ask_for_a_reset(app)
    later = clock.now() + timedelta(minutes=59)
    monkeypatch.setattr(clock, "now", lambda: later)

    assert await deliver(app) == 0
    (mail,) = await mails(app)
    assert (mail.state, mail.tries, mail.error, mail.sent_on) == ("not sent", 1, None, None)
    assert mail.secret


async def test_mails_that_cannot_be_written_keep_no_others_from_the_log(
    settings: dict[str, Any], log: pytest.LogCaptureFixture
) -> None:
    async with serving(settings) as app:
        for _ in range(2 * mailer.AT_ONCE):
            await post(app, "no_such_template")
        path, since = await link_of_one_who_asks(app), time.monotonic()
        await is_logged(log, "mail_kept")

        assert time.monotonic() - since < mailer.EVERY / 2
    assert log.text.count(path) == 1


async def test_the_mailbox_shows_a_mail_and_its_link_works(app: Quart, client: TestClientProtocol) -> None:
    path = await ask_for_a_reset(app)

    page = await shown(client)
    assert '<h2 lang="en">Choose a new password</h2>' in page
    assert f"To {EMAIL}" in page
    assert f"{app.config['BASE_URL']}{path}" in page
    (target,) = re.findall(r'<a href="([^"]+)">Open its link</a>', page)
    assert target == path
    assert (await client.get(target)).status_code == 200


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"])
@on_sqlite
async def test_it_answers_whoever_is_on_this_machine(client: TestClientProtocol, address: str) -> None:
    assert (await look(client, scope_base={"client": (address, 5)})).status_code == 200


@pytest.mark.parametrize("address", FAR)
@on_sqlite
async def test_for_anybody_else_it_does_not_exist(app: Quart, client: TestClientProtocol, address: str) -> None:
    await ask_for_a_reset(app)

    await check_absent(client, scope_base={"client": (address, 5)})


@on_sqlite
async def test_for_one_who_comes_from_nowhere_it_does_not_exist(client: TestClientProtocol) -> None:
    await check_absent(client, scope_base={"client": None})


@pytest.mark.parametrize("name", [*FORWARDED, "x-forwarded-for"])
@pytest.mark.parametrize("value", ["127.0.0.1", ""])
@on_sqlite
async def test_for_one_whom_a_proxy_passes_on_it_does_not_exist(
    app: Quart, client: TestClientProtocol, name: str, value: str
) -> None:
    await create_user(app)
    await post(app)

    await check_absent(client, headers={name: value})


@on_sqlite
async def test_for_a_proxy_that_hides_what_it_is_it_does_not_exist(client: TestClientProtocol) -> None:
    await check_absent(client, http_version="1.0")


@pytest.mark.parametrize(
    "elsewhere",
    [
        PUBLIC,
        {"BASE_URL": "http://192.0.2.1:5000"},
        {"BASE_URL": "http://localhost.example.com"},
        {"TRUSTED_PROXIES": 1},
        MailServer().settings,
        PUBLIC | MailServer().settings,
    ],
)
@on_sqlite
async def test_on_any_other_site_it_does_not_exist(settings: dict[str, Any], elsewhere: dict[str, Any]) -> None:
    async with serving(settings | elsewhere) as app:
        await post(app)
        host = app.config["BASE_URL"].partition("://")[2]
        await check_absent(app.test_client(), headers={"Host": host})
        assert MAILBOX not in {rule.rule for rule in app.url_map.iter_rules()}


@pytest.mark.parametrize("host", ["evil.example", "evil.example:5000", "localhost.evil.example"])
@on_sqlite
async def test_a_name_of_somebody_else_that_leads_here_opens_nothing(
    app: Quart, client: TestClientProtocol, host: str
) -> None:
    await ask_for_a_reset(app)

    answer = await look(client, headers={"Host": host})

    assert answer.status_code >= 400
    assert "/reset/" not in await answer.get_data(as_text=True)


async def test_nobody_keeps_a_copy_of_the_page(app: Quart, client: TestClientProtocol) -> None:
    answer = await look(client)

    assert "no-store" in answer.headers["Cache-Control"]
    assert answer.headers["Referrer-Policy"] in ("no-referrer", "same-origin", "strict-origin-when-cross-origin")


async def test_what_is_hostile_in_a_mail_comes_out_as_it_is(app: Quart, client: TestClientProtocol) -> None:
    device = "<script>alert(1)</script> & 'so'"
    facts = {"user_agent": device, "ip": device, "time": clock.now().isoformat(), "new_email": HOSTILE_EMAIL}
    await post(app, "email_changed", to=HOSTILE_EMAIL, facts=facts)

    page = await shown(client)
    assert "<script>alert" not in page
    assert device in unescape(page)
    assert f"To {HOSTILE_EMAIL}" in unescape(page)
    assert "&amp;amp;" not in page


async def test_a_mail_that_cannot_be_written_hides_no_others(app: Quart, client: TestClientProtocol) -> None:
    await post(app, "no_such_template")
    path = await link_of_one_who_asks(app)

    assert path in await shown(client)


async def link_of_one_who_asks(app: Quart) -> str:
    await create_user(app)
    await app.test_client().post("/reset", form={"email": EMAIL})
    return await link(app, "reset")


async def test_the_mail_of_somebody_who_has_gone_is_shown(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    await client.post("/account/delete", form={"password": PASSWORD})
    await comes_to(app, "not sent")

    assert '<h2 lang="en">Your account is deleted</h2>' in await shown(client)


async def test_an_address_that_no_mail_can_go_to_is_shown_too(app: Quart, client: TestClientProtocol) -> None:
    async with app.app_context():
        mail = Mail(template="test", recipient="ada", facts={}, expires_on=clock.now() + timedelta(days=1))
        await db.write(keep, mail)

    assert "To ada " in await shown(client)


async def test_who_starts_it_is_told_where_mails_stay(settings: dict[str, Any], log: pytest.LogCaptureFixture) -> None:
    async with serving(settings):
        assert "mail_stays see=http://localhost:5000/dev/mailbox" in log.text
    log.clear()
    async with serving(settings | PUBLIC):
        assert "mail_stays" not in log.text


@on_sqlite
async def test_mails_that_waited_for_a_server_leave_when_there_is_one(settings: dict[str, Any]) -> None:
    async with serving(settings | PUBLIC) as app:
        await post(app)
        assert [(mail.state, mail.tries) for mail in await mails(app)] == [("waiting", 0)]

    with MailServer().running() as server:
        async with serving(settings | PUBLIC | server.settings) as app:
            app.extensions["mailer"].woken.set()
            await server.arrival()
            assert [mail.recipient for mail in await comes_to(app, "sent")] == [EMAIL]
