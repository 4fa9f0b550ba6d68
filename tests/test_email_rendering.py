"""What an e-mail contains: the same as text and as HTML, with nothing of an attacker, in its account's language."""

import itertools
import re
from email.message import EmailMessage
from html import unescape
from typing import Any

import pytest
from jinja2 import BaseLoader, ChoiceLoader, DictLoader
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import select, update

from app.default_config import LANGUAGES
from app.lib import clock
from app.lib.i18n.catalogs import catalog
from app.mail import rendering
from app.mail.rendering import RenderedEmail
from app.models import Email, User
from app.models.user_token import TokenPurpose
from app.services import account_deletion, credentials
from support.actions import EMAIL, PASSWORD, change_password, create_user, execute, scalars, write
from support.app import ROOT, serving
from support.mail_helpers import link, mails, rendered_emails
from support.outbox import ALL_LINK, FACTS, HOSTILE_EMAIL, TEMPLATES

HOSTILE = "<script>alert(1)</script> & 'so' \"on\""
INJECTED = "Firefox\r\nBcc: eve@example.com\r\n\r\nhttps://evil.example/"
HEADERS = ["Auto-Submitted", "Content-Type", "Date", "From", "MIME-Version", "Message-ID", "Subject", "To"]
TAGS = {"html", "head", "meta", "title", "body", "div", "h1", "p", "a"}
own_catalogs = pytest.mark.usefixtures("three_languages")

OTHER = "eve@example.com"
FRENCH = {"Accept-Language": "fr"}
GERMAN = {"Accept-Language": "de-AT, de;q=0.9"}


@pytest.fixture
def settings(settings: dict[str, Any]) -> dict[str, Any]:
    return settings | {"MAIL_DEFAULT_SENDER": "Größe <site@example.com>"}


async def written(app: Quart, template: str = "password_changed", **more: Any) -> tuple[EmailMessage, RenderedEmail]:
    """Return an e-mail as it is sent, and its content."""
    values: dict[str, Any] = {"id": 1, "recipient": EMAIL, "facts": FACTS, "created_on": clock.now()}
    mail = Email(template=template, **values | {"purpose": TokenPurpose.NOT_ME, "secret": "a-secret"} | more)
    async with app.app_context():
        rendered = await rendering.render(mail)
        return rendering.build_message(mail, rendered), rendered


def part_of(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def targets_in(html: str) -> set[str]:
    return {unescape(url) for url in re.findall(r'href="([^"]*)"', html)}


def check_parts(message: EmailMessage, language: str = "en") -> None:
    """See that both parts have the same paragraphs and links, and that nothing was escaped twice or left over."""
    text, html = part_of(message, "plain"), part_of(message, "html")
    paragraphs = [part.removeprefix("-- \n").strip() for part in text.split("\n\n")]
    shown = [unescape(re.sub("<[^>]*>", "", part)).strip("\n") for part in re.findall(r"(?s)<p\b[^>]*>(.*?)</p>", html)]
    not_in_text = (message["Subject"], *map(catalog(language).gettext, rendering.BUTTONS.values()))
    assert [part for part in shown if part not in not_in_text] == paragraphs
    assert set(re.findall(r"<(\w+)", html)) <= TAGS
    assert targets_in(html) == {part for part in paragraphs if part.startswith("http")}
    assert html.startswith("<!doctype html>")
    assert f'<html lang="{language}">' in html
    assert "&lt;" not in text
    assert not re.search(r"\{\{|\}\}|\{%|None|Undefined|&amp;amp;|&amp;#", text + html)


async def test_every_email_has_a_short_subject_and_the_same_content_as_text_and_as_html(app: Quart) -> None:
    for template, language, purpose in itertools.product(TEMPLATES, LANGUAGES, (TokenPurpose.NOT_ME, None)):
        if purpose is None and template in ALL_LINK:
            continue
        message, _ = await written(app, template, language=language, purpose=purpose)

        check_parts(message, language)
        subject = str(message["Subject"])
        assert 5 < len(subject) < 60
        assert subject.isprintable()
        assert subject not in part_of(message, "plain")
        head, _, _ = message.as_bytes().partition(b"\n\n")
        assert head.isascii()
        assert max(map(len, head.split(b"\n"))) <= 78


async def test_the_email_of_the_how_to_guide_has_its_paragraphs(app: Quart) -> None:
    (invited,) = re.findall(r"```jinja\n(.*?)```", (ROOT / "docs/how-to/send-an-email.md").read_text(), re.DOTALL)
    loaders: list[BaseLoader] = [DictLoader({"emails/invited.txt": invited}), app.create_global_jinja_loader()]
    app.jinja_env.loader = ChoiceLoader(loaders)

    message, rendered = await written(app, "invited", facts={"inviter": "Ada"}, purpose=None)

    paragraphs = ["Ada invites you to a project.", "Open it at http://localhost:5000/projects"]
    assert part_of(message, "plain").split("\n\n")[:-1] == paragraphs
    assert [f"<p>{text}</p>" in rendered.html for text in paragraphs] == [True, True]


async def test_what_is_hostile_is_shown_as_text_in_the_body_and_never_in_a_header(app: Quart) -> None:
    for template in TEMPLATES:
        facts = FACTS | {"user_agent": HOSTILE, "ip": HOSTILE, "new_email": HOSTILE_EMAIL}
        message, _ = await written(app, template, facts=facts, recipient=HOSTILE_EMAIL)
        check_parts(message)

        injected = dict.fromkeys((*FACTS, "email", "site", "link", "config"), INJECTED) | {"time": FACTS["time"]}
        message, _ = await written(app, template, facts=injected)
        assert sorted(message.keys()) == HEADERS
        assert str(message["To"]) == EMAIL
        assert not any("evil.example" in target for target in targets_in(part_of(message, "html")))


@own_catalogs
async def test_an_email_in_a_language_that_is_not_spoken_is_in_the_first_of_the_site(settings: dict[str, Any]) -> None:
    async with serving(settings | {"LANGUAGES": ("de", "en")}) as app:
        for code in (None, "fr", "es", "", "../../etc", "x" * 20):
            _, rendered = await written(app, language=code)
            assert rendered.language == "de"


# The language of an account, in which it gets its e-mails, whichever client causes them


async def languages(app: Quart) -> list[str | None]:
    return await scalars(app, select(User.language).order_by(User.id))


async def open_browser(
    app: Quart, path: str = "/register", *, email: str = EMAIL, headers: dict[str, str] = GERMAN
) -> TestClientProtocol:
    """Return a browser that has registered or logged in with a language."""
    client = app.test_client()
    form = {"email": email, "password": PASSWORD, "password_confirm": PASSWORD}
    assert (await client.post(path, form=form, headers=headers)).status_code == 303
    return client


async def check(app: Quart, template: str, code: str, subject: str) -> None:
    """See that the newest e-mail of a kind, with this English subject, is in a language."""
    message = (await rendered_emails(app, template))[-1]
    assert message.language == code
    assert message.subject == catalog(code).gettext(subject)
    assert f'<html lang="{code}">' in message.html


@own_catalogs
async def test_an_account_has_the_language_of_its_registration_or_else_of_its_first_login(app: Quart) -> None:
    await create_user(app)
    assert await languages(app) == [None]  # as on the command line

    await open_browser(app, "/login", headers=GERMAN)
    await open_browser(app, "/login", headers=FRENCH)
    await open_browser(app, email=OTHER, headers=FRENCH)

    assert await languages(app) == ["de", "fr"]


@own_catalogs
async def test_only_a_session_changes_the_language_and_only_that_of_its_own_account(app: Quart) -> None:
    ada, eve = await open_browser(app), await open_browser(app, email=OTHER)
    anonymous, attacker, logged_out = app.test_client(), app.test_client(), await open_browser(app, "/login")
    attacker.set_cookie("localhost", "auth", "forged")
    await logged_out.post("/logout")

    for client in (anonymous, attacker, logged_out):
        assert (await client.post("/language", form={"language": "fr", "user": "2"})).status_code == 303
    await eve.post("/language", form={"language": "en"}, headers={"Sec-Fetch-Site": "cross-site"})
    await eve.post("/language", form={"language": "es"})
    assert await languages(app) == ["de", "de"]

    await ada.post("/language", form={"language": "fr", "user": "2"})
    assert await languages(app) == ["fr", "de"]


@own_catalogs
async def test_an_attacker_with_a_french_browser_is_reported_in_the_language_of_the_account(app: Quart) -> None:
    await open_browser(app)
    attacker = await open_browser(app, "/login", headers=FRENCH)
    attacker.set_cookie("localhost", "language", "fr")

    await change_password(attacker)

    await check(app, "new_login", "de", "New login to your account")
    await check(app, "password_changed", "de", "Your password was changed")
    assert "[de] Unknown browser" in (await rendered_emails(app, "password_changed"))[-1].text


@own_catalogs
async def test_a_reset_is_in_the_language_of_the_account_or_else_of_the_request(app: Quart) -> None:
    client = await open_browser(app)
    for known, expected in ((None, "fr"), ("de", "de")):
        await execute(app, update(User).values(language=known))
        await app.test_client().post("/reset", form={"email": EMAIL}, headers=FRENCH)
        await client.post("/language", form={"language": "en"})  # too late for this e-mail

        await check(app, "reset", expected, "Reset your password")
        message = (await rendered_emails(app, "reset"))[-1]
        assert f">{catalog(expected).gettext('Choose a new password')}</a>" in message.html


@own_catalogs
async def test_a_change_of_the_email_address_and_a_deletion_are_reported_in_the_accounts_language(app: Quart) -> None:
    client = await open_browser(app)
    await client.post("/change-email", form={"email": OTHER}, headers=FRENCH)
    await check(app, "change_email", "de", "Confirm your new e-mail address")
    await client.post(await link(app, "change_email"), headers=FRENCH)
    await check(app, "email_changed", "de", "Your e-mail address was changed")

    await write(app, account_deletion.delete_by_email, email=OTHER)
    assert {mail.recipient for mail in await mails(app)} == {EMAIL, OTHER}
    assert {message.language for message in await rendered_emails(app)} == {"de"}


@own_catalogs
async def test_a_change_at_the_command_line_is_reported_in_the_accounts_or_the_sites_language(
    settings: dict[str, Any],
) -> None:
    async with serving(settings | {"LANGUAGES": ("fr", "en", "de")}) as app:
        for known, expected in ((None, "fr"), ("de", "de"), ("en", "en")):
            await create_user(app)
            await execute(app, update(User).values(language=known))
            async with app.app_context():
                await credentials.set_password(EMAIL, "another correct horse")
            await check(app, "password_changed", expected, "Your password was changed")
            await write(app, account_deletion.delete_by_email, email=EMAIL)
            await check(app, "account_deleted", expected, "Your account was deleted")
