"""A site without a mail server: the link in the log, and the mailbox, a page for this machine alone."""

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from quart import Quart, Response
from quart.typing import TestClientProtocol

from support.actions import EMAIL, create_user
from support.app import serving
from support.frozen_clock import FrozenClock
from support.mail_helpers import link, mails
from support.outbox import FACTS, HOSTILE_EMAIL, PUBLIC, deliver, is_logged, post
from support.smtp_server import MailServer

MAILBOX = "/dev/mailbox"
NEAR = {"client": ("127.0.0.1", 5)}
FAR = ["192.0.2.7", "10.0.0.1", "0.0.0.0", "::", "2001:db8::7", "::ffff:192.0.2.7", "fe80::1", "localhost", "", "[::1"]  # noqa: S104
FORWARDED = ["Forwarded", "x-forwarded-for", "X-Forwarded-Host", "X-Real-IP", "Via", "CF-Connecting-IP"]
ELSEWHERE: list[dict[str, Any]] = [
    PUBLIC,
    {"BASE_URL": "http://192.0.2.1:5000"},
    {"BASE_URL": "http://localhost.example.com"},
    {"TRUSTED_PROXIES": 1},
    MailServer().settings,
]


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


async def test_it_exists_for_this_machine_alone_and_not_behind_a_proxy(app: Quart, client: TestClientProtocol) -> None:
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


async def test_it_does_not_exist_on_any_other_site_and_the_log_of_the_start_names_it(
    settings: dict[str, Any], log: pytest.LogCaptureFixture
) -> None:
    async with serving(settings):
        assert "dev_mailbox url=http://localhost:5000/dev/mailbox" in log.text
    log.clear()
    for elsewhere in ELSEWHERE:
        async with serving(settings | elsewhere) as app:
            await post(app)
            host = app.config["BASE_URL"].partition("://")[2]
            await check_absent(app.test_client(), headers={"Host": host})
    assert "dev_mailbox" not in log.text


async def test_hostile_text_of_an_email_is_escaped_once(app: Quart, client: TestClientProtocol) -> None:
    device = "<script>alert(1)</script> & 'so'"
    facts = FACTS | {"user_agent": device, "ip": device, "new_email": HOSTILE_EMAIL}
    await post(app, "email_changed", to=HOSTILE_EMAIL, facts=facts)

    page = await (await look(client)).get_data(as_text=True)
    assert "<script>alert" not in page
    assert device in unescape(page)
    assert f"To {HOSTILE_EMAIL}" in unescape(page)
    assert "&amp;amp;" not in page
