"""What an e-mail contains: the same as text and as HTML, with nothing that an attacker put into it."""

import itertools
import re
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Any

import pytest
from quart import Quart

from app.lib import clock
from app.lib.i18n.catalogs import catalog
from app.mail import rendering
from app.mail.rendering import RenderedEmail
from app.models import Email
from app.models.user_token import TokenPurpose
from support.actions import EMAIL
from support.app import serving
from support.outbox import ALL_LINK, FACTS, HOSTILE_EMAIL, TEMPLATES

HOSTILE = "<script>alert(1)</script> & 'so' \"on\""
INJECTED = "Firefox\r\nBcc: eve@example.com\r\n\r\nhttps://evil.example/"
HEADERS = ["Auto-Submitted", "Content-Type", "Date", "From", "MIME-Version", "Message-ID", "Subject", "To"]
TAGS = {"html", "head", "meta", "title", "body", "div", "h1", "p", "a"}
SPOKEN = ("en", "de", "fr")


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


class Page(HTMLParser):
    """The paragraphs of a page, its elements, and where its links lead."""

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


def check_parts(message: EmailMessage, language: str = "en") -> None:
    """See that both parts have the same paragraphs and links, and that nothing was escaped twice or left over."""
    text, html = part_of(message, "plain"), part_of(message, "html")
    page, paragraphs = Page(html), [part.removeprefix("-- \n").strip() for part in text.split("\n\n")]
    not_in_text = (message["Subject"], *map(catalog(language).gettext, rendering.BUTTONS.values()))
    assert [part for part in page.paragraphs if part not in not_in_text] == paragraphs
    assert page.tags <= TAGS
    assert set(page.targets) == {part for part in paragraphs if part.startswith("http")}
    assert html.startswith("<!doctype html>")
    assert f'<html lang="{language}">' in html
    assert "&lt;" not in text
    assert not re.search(r"\{\{|\}\}|\{%|None|Undefined|&amp;amp;|&amp;#", text + html)


async def test_every_email_has_a_short_subject_and_the_same_content_as_text_and_as_html(app: Quart) -> None:
    for template, language, purpose in itertools.product(TEMPLATES, SPOKEN, (TokenPurpose.NOT_ME, None)):
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


async def test_what_is_hostile_is_shown_as_text_in_the_body_and_never_in_a_header(app: Quart) -> None:
    for template in TEMPLATES:
        facts = FACTS | {"user_agent": HOSTILE, "ip": HOSTILE, "new_email": HOSTILE_EMAIL}
        message, _ = await written(app, template, facts=facts, recipient=HOSTILE_EMAIL)
        check_parts(message)

        injected = dict.fromkeys((*FACTS, "email", "site", "link", "config"), INJECTED) | {"time": FACTS["time"]}
        message, _ = await written(app, template, facts=injected)
        assert sorted(message.keys()) == HEADERS
        assert str(message["To"]) == EMAIL
        assert not any("evil.example" in target for target in Page(part_of(message, "html")).targets)


async def test_a_security_alert_states_time_ip_address_and_browser_in_its_language(app: Quart) -> None:
    for template in ("email_changed", "new_login", "password_changed"):
        text = {code: (await written(app, template, language=code))[1].text for code in SPOKEN}

        assert "Jan 2, 2030, 3:04\N{NARROW NO-BREAK SPACE}AM UTC (Firefox on Linux, IP address 192.0.2.7)" in text["en"]
        assert "02.01.2030, 03:04 UTC" in text["de"]
        assert "2 janv. 2030, 03:04 UTC" in text["fr"]
        assert re.search("[\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}][;:!?]", text["fr"])
        assert not re.search("(?<!--) [;:!?]", text["fr"])
        assert (FACTS["new_email"] in text["en"]) is (template == "email_changed")


async def test_the_message_id_is_valid_on_a_site_without_a_name(settings: dict[str, Any]) -> None:
    for base_url in ("http://[::1]:5000", "http://127.0.0.1:5000"):
        async with serving(settings | {"BASE_URL": base_url}) as app:
            message, _ = await written(app)
            assert message["Message-ID"].defects == ()


async def test_an_email_in_a_language_that_is_not_spoken_is_in_the_first_of_the_site(settings: dict[str, Any]) -> None:
    async with serving(settings | {"LANGUAGES": ("de", "en")}) as app:
        for code in (None, "fr", "es", "", "../../etc", "x" * 20):
            _, rendered = await written(app, language=code)
            assert rendered.language == "de"
