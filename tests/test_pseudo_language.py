"""Everything that users read can be translated: in a test language, every message is in brackets and nothing else."""

import gettext
import itertools
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from typing import Any

import pytest
from quart import Quart, Response, abort, request
from quart.typing import TestClientProtocol
from sqlalchemy import update

from app.auth import access
from app.auth.error_messages import MESSAGES
from app.lib import clock
from app.lib.db import DatabaseUnavailable
from app.lib.i18n import catalogs, negotiation
from app.lib.web import templates
from app.mail import rendering
from app.models import Email
from app.models.user_token import USER_REQUESTED, TokenPurpose
from app.services import audit_log
from app.services.client import COMMAND_LINE, Client
from app.views.labels import EVENTS
from support.actions import EMAIL, PASSWORD, create_user, execute, log_in, page, register, write
from support.app import MAILBOX, open_to, serving
from support.mail_helpers import link
from support.outbox import ALL_LINK, TEMPLATES
from support.user_agents import FIREFOX, MAC

OTHER = "eve@example.com"
TRANSLATED_ATTRIBUTES = {"title", "aria-label", "alt", "placeholder", "data-other", "data-answer"}
UNTRANSLATED_TAGS = {"script", "style", "time", "code"}
DATA = re.compile(
    r"[\w.+-]+@example\.com|Ada <ada@example\.com>|A Site|English|Deutsch|Français"
    r"|https?://[^\s⟧]+|192\.0\.2\.7|curl|none: emails/none\.txt"
)
MESSAGE = re.compile("⟦[^⟦⟧]*⟧")
UNTRANSLATED = re.compile(r"[^\W\d_]|[⟦⟧]")
LONG = "x" * 5000
LOCALLY = {"client": ("127.0.0.1", 4711)}
REMOTELY = {"client": ("192.0.2.7", 4711)}
REGISTRATION = {"email": OTHER, "password": PASSWORD, "password_confirm": PASSWORD}
UNSUITABLE_PASSWORDS = ("short", "x" * 300, OTHER, "password1", "\0" * 9)
NEW = {"new_password": "a new one that is long", "new_password_confirm": "a new one that is long"}


class BracketTranslations(gettext.NullTranslations):
    def gettext(self, message: str) -> str:
        return f"⟦{message}⟧"

    def ngettext(self, one: str, many: str, number: int) -> str:
        return f"⟦{one if number == 1 else many}⟧"


class Page(HTMLParser):
    """Collect the visible and the spoken text of a page that is outside of brackets."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.untranslated_tags: list[str] = []
        self.found: list[str] = []
        while MESSAGE.search(html):  # a message may contain others, and begin in one element and end in another
            html = MESSAGE.sub("", html)
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.untranslated_tags += [tag] if tag in UNTRANSLATED_TAGS else []
        values = dict(attrs)
        names = TRANSLATED_ATTRIBUTES | ({"value"} if values.get("type") in ("submit", "reset") else set())
        for name in names & set(values):
            self.handle_data(values[name] or "")

    def handle_endtag(self, tag: str) -> None:
        if tag in self.untranslated_tags:
            self.untranslated_tags.remove(tag)

    def handle_data(self, data: str) -> None:
        if not self.untranslated_tags:
            self.found += filter(UNTRANSLATED.search, DATA.split(data))


@pytest.fixture(autouse=True)
def brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (catalogs, negotiation, templates):
        monkeypatch.setattr(module, "catalog", lambda _language: BracketTranslations())
    monkeypatch.setattr(access, "is_public", open_to({"fail"}))


async def fail(status: int) -> str:
    if status == 503:
        raise DatabaseUnavailable("gone")
    return abort(status) if status != 500 else str(1 // 0)


@asynccontextmanager
async def serving_checked_pages(settings: dict[str, Any]) -> AsyncIterator[Quart]:
    """Serve a site, and check at the end that each page it has sent was in brackets."""
    found: list[tuple[str, list[str]]] = []

    async def check(response: Response) -> Response:
        if response.mimetype == "text/html" and response.status_code != 303:
            found.append((request.path, Page(await response.get_data(as_text=True)).found))
        return response

    def add_to(app: Quart) -> None:
        app.add_url_rule("/fail/<int:status>", "fail", fail)
        app.after_request(check)

    async with serving(settings | {"SITE_NAME": "A Site"}, add_to) as app:
        yield app
    assert [each for each in found if each[1]] == []


@pytest.fixture
async def app(settings: dict[str, Any]) -> AsyncIterator[Quart]:
    async with serving_checked_pages(settings | {"SECURITY_SEND_REGISTER_EMAIL": True}) as app:
        yield app


async def get(client: TestClientProtocol, *paths: str, status: int = 200) -> None:
    for path in paths:
        assert (await client.get(path, scope_base=LOCALLY)).status_code == status, path


async def post(client: TestClientProtocol, path: str, *forms: dict[str, Any], status: int = 422) -> None:
    """Send each form. 200 is the status of the page after a form that was accepted."""
    for form in forms:
        assert (await client.post(path, form=form, follow_redirects=True)).status_code == status, form


def test_text_outside_of_brackets_is_found() -> None:
    html = '<p title="No">⟦Yes <b>ada⟧</b> Nor</p><input type="submit" value="Go"><code>x</code><img alt="⟦a⟧">'

    assert sorted(part.strip() for part in Page(html).found) == ["Go", "No", "Nor"]


async def test_public_pages_and_error_pages_can_be_translated(client: TestClientProtocol) -> None:
    await get(client, "/", "/login", "/login?next=/change", "/register", "/reset")
    await get(client, "/dev/mailbox", status=403)
    await get(client, MAILBOX)
    await get(client, "/not-me", "/reset/none", "/undo-email/none", status=404)
    await client.get("/change")
    await post(client, "/account", {"name": "x"}, status=200)
    for status in sorted({*MESSAGES, 410, 501}):
        path = "/change" if status == 401 else f"/fail/{status}"
        as_json = await client.get(path, headers={"Accept": "application/json"})
        assert Page((await as_json.get_json())["error"]["message"]).found in ([], [". "])
        if status != 401:
            await get(client, path, status=status)


async def test_a_registration_and_a_login_can_be_translated(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)
    wrong = [{"email": "x"}, {"email": LONG}, {"email": EMAIL}, {"password": LONG}, {"password_confirm": "x"}]
    wrong += [{"password": password, "password_confirm": password} for password in UNSUITABLE_PASSWORDS]
    await post(client, "/register", {}, *[REGISTRATION | change for change in wrong])
    twice = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await client.post("/register", data=b"email=a&email=b", headers=twice)).status_code == 422
    await post(client, "/register", REGISTRATION, status=200)
    await post(client, "/logout", {}, status=200)

    await post(client, "/login", {}, {"email": EMAIL, "password": "wrong"}, {"email": LONG, "password": LONG})
    app.config["RATE_LIMIT_LOGINS_PER_IP"] = "1 per hour"
    await post(client, "/login", {"email": EMAIL, "password": "wrong"}, status=429)


async def test_the_pages_of_a_user_can_be_translated(app: Quart, client: TestClientProtocol) -> None:
    other = await create_user(app, OTHER)
    await register(client)
    for user_agent in (FIREFOX, MAC, "curl/8", ""):
        form, headers = {"email": EMAIL, "password": PASSWORD}, {"User-Agent": user_agent}
        await app.test_client().post("/login", form=form, headers=headers, scope_base=REMOTELY)
    for event, origin in itertools.product(EVENTS, (Client("192.0.2.7", FIREFOX), COMMAND_LINE)):
        await write(app, audit_log.record, other.id + 1, event, origin)

    await get(client, "/", "/account", "/sessions", "/account/activity", "/change", "/account/delete", "/verify")
    await post(client, "/verify", {}, {"password": "wrong"})
    paths = re.findall(r'action="(/sessions/\d+/end)"', await page(client, "/sessions"))
    for path in (paths[0], "/sessions/end-others"):
        await post(client, path, {}, status=200)
    await post(client, "/account", {"name": LONG}, {"name": "a\nb"})
    await post(client, "/account", {"name": "Ada"}, status=200)
    change = NEW | {"password": PASSWORD}
    wrong = [{"new_password_confirm": ""}, {"password": "wrong"}, {"new_password": "short"}]
    await post(client, "/change", {}, *[change | each for each in wrong])
    await post(client, "/change", change, status=200)
    await post(client, "/account/delete", {}, {"password": "wrong"})
    await post(client, "/account/delete", {"password": NEW["new_password"]}, status=200)


async def test_the_pages_of_mailed_links_can_be_translated(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)
    await post(client, "/reset", {}, {"email": LONG})
    await post(client, "/reset", {"email": EMAIL}, status=200)
    reset = await link(app, "reset")
    await get(client, reset)
    await post(client, reset, {}, NEW | {"new_password_confirm": "x"})
    await post(client, reset, NEW, status=200)
    await get(client, reset, status=404)
    await log_in(app.test_client(), password=NEW["new_password"])
    not_me = await link(app, "new_login")
    await get(client, not_me, MAILBOX)
    await post(client, not_me, {}, status=200)
    await execute(app, update(Email).where(Email.template == "reset").values(template="none"))
    await get(client, MAILBOX)


async def test_a_confirmation_and_a_change_of_the_email_address_can_be_translated(settings: dict[str, Any]) -> None:
    async with serving_checked_pages(settings | {"SECURITY_CONFIRMABLE": True}) as app:
        client, other = app.test_client(), app.test_client()
        await post(client, "/register", REGISTRATION, status=200)
        await get(client, "/confirm", "/login")
        await post(client, "/confirm", {}, {"email": LONG})
        await post(client, "/confirm", {"email": OTHER}, status=200)
        path = await link(app, "confirm")
        await get(other, path)
        await post(other, path, {}, dict.fromkeys(NEW, "short"))
        await get(client, path)
        await post(client, path, {}, status=200)

        await post(client, "/login", {"email": OTHER, "password": PASSWORD}, status=200)
        await get(client, "/change-email")
        await post(client, "/change-email", {}, {"email": "x"}, {"email": OTHER})
        await post(client, "/change-email", {"email": EMAIL}, status=200)
        for template in ("change_email", "email_changed"):
            path = await link(app, template)
            await get(client, path)
            await post(client, path, {}, status=200)


async def test_every_email_can_be_translated(app: Quart) -> None:
    facts = {"time": clock.now().isoformat(), "new_email": OTHER}
    sources: list[dict[str, str]] = [{"ip": "192.0.2.7", "user_agent": FIREFOX}, {"at_command_line": "yes"}, {}]
    for template, source, recoverable in itertools.product(TEMPLATES, sources, (True, False)):
        app.config["SECURITY_RECOVERABLE"] = recoverable
        for purpose in USER_REQUESTED if template in ALL_LINK else (None, *TokenPurpose):
            mail = Email(id=1, template=template, recipient=EMAIL, facts=facts | source, created_on=clock.now())
            mail.purpose, mail.secret = purpose, purpose and "a-secret"
            async with app.app_context():
                message = await rendering.render(mail)
            for part in (message.html, message.subject, message.text):
                assert Page(part).found == []
