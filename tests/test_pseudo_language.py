"""A language in which every message is in brackets: what is outside of them cannot be translated."""

import gettext as catalogues
import itertools
import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from typing import Any

import pytest
from quart import Quart, Response, abort
from quart.typing import TestClientProtocol
from sqlalchemy import update

from app.auth import access
from app.auth.error_messages import MESSAGES
from app.lib import clock
from app.lib.db import DatabaseUnavailable
from app.lib.i18n import catalogs
from app.lib.i18n import negotiation as hook
from app.lib.web import templates
from app.mail import rendering
from app.models import Email
from app.models.user_token import USER_REQUESTED, TokenPurpose
from app.services import audit_log, profile
from app.services.client import COMMAND_LINE, Client
from app.views.labels import EVENTS
from support.actions import EMAIL, PASSWORD, create_user, execute, log_in, page, register, write
from support.app import open_to, serving
from support.mail_helpers import link
from support.outbox import ALL_LINK, TEMPLATES
from support.user_agents import FIREFOX, MAC

OTHER = "eve@example.com"
ATTRIBUTES = {"title", "aria-label", "alt", "placeholder", "data-other", "data-answer"}
UNSEEN = {"script", "style"}
AS_IT_IS = {"time", "code"}  # a moment, a number: Babel's and ours
DATA = re.compile(
    r"[\w.+-]+@example\.com|Ada <ada@example\.com>|A Site|English|Deutsch|Français"
    r"|https?://[^\s⟧]+|192\.0\.2\.7|curl|none: emails/none\.txt"
)
SAID = re.compile(r"[^\W\d_]")
LONG = "x" * 5000
URLENCODED = {"Content-Type": "application/x-www-form-urlencoded"}
NEAR = {"client": ("127.0.0.1", 4711)}


class Pseudo(catalogues.NullTranslations):
    def gettext(self, message: str) -> str:
        return f"⟦{message}⟧"

    def ngettext(self, one: str, many: str, number: int) -> str:
        return f"⟦{one if number == 1 else many}⟧"


class Page(HTMLParser):
    """Collect the visible and the spoken text of a page that is not in brackets."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.depth = 0
        self.inside: list[str] = []
        self.found: list[str] = []
        self.feed(html)
        assert self.depth == 0, html

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside += [tag] if tag in UNSEEN | AS_IT_IS else []
        shown = dict(attrs)
        names = ATTRIBUTES | ({"value"} if shown.get("type") in ("submit", "reset") else set())
        for name in names & set(shown):
            depth, self.depth = self.depth, 0
            self.handle_data(shown[name] or "")
            self.depth = depth

    def handle_endtag(self, tag: str) -> None:
        if tag in self.inside:
            self.inside.remove(tag)

    def handle_data(self, data: str) -> None:
        if not self.inside:
            self.found += filter(SAID.search, DATA.split(self.outside(data)))

    def outside(self, text: str) -> str:
        """Return the text outside of brackets; a message may begin in one element and end in another."""
        left = ""
        for character in text:
            self.depth -= character == "⟧"
            left += "" if self.depth or character in "⟦⟧" else character
            self.depth += character == "⟦"
        return left


@pytest.fixture(autouse=True)
def pseudo(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (catalogs, hook, templates):
        monkeypatch.setattr(module, "catalog", lambda _language: Pseudo())


@pytest.fixture
async def app(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Quart]:
    """Serve a site with everything switched on, and a page that fails as it is told to."""
    monkeypatch.setattr(access, "is_public", open_to({"fail"}))

    async def fail(status: int) -> str:
        if status == 503:
            raise DatabaseUnavailable("gone")
        return abort(status) if status != 500 else str(1 // 0)

    more = {"SITE_NAME": "A Site", "SECURITY_SEND_REGISTER_EMAIL": True}
    async with serving(settings | more, lambda app: app.add_url_rule("/fail/<int:status>", "fail", fail)) as app:
        yield app


class BrowserUser:
    """A client that checks each page that it gets."""

    def __init__(self, client: TestClientProtocol) -> None:
        self.client = client

    async def look(self, response: Response) -> Response:
        text = await response.get_data(as_text=True)
        if response.mimetype == "text/html" and response.status_code != 303:
            assert Page(text).found == [], text
        return response

    async def get(self, path: str, status: int = 200, **how: Any) -> None:
        response = await self.look(await self.client.get(path, **how))
        assert response.status_code == status, path

    async def post(self, path: str, *forms: dict[str, Any], status: int = 422) -> None:
        """Send each form, and check the response and the page after it."""
        for form in forms:
            response = await self.look(await self.client.post(path, form=form))
            assert response.status_code == status, form
            if response.status_code == 303:
                await self.look(await self.client.get(response.location, follow_redirects=True))


@pytest.fixture
def browser_user(client: TestClientProtocol) -> BrowserUser:
    return BrowserUser(client)


def test_what_is_outside_of_brackets_is_found() -> None:
    seen = '<p title="No">⟦Yes <b>ada⟧</b> Nor</p><input type="submit" value="Go"><code>x</code><img alt="⟦a⟧">'

    assert sorted(part.strip() for part in Page(seen).found) == ["Go", "No", "Nor"]


async def test_public_pages_and_error_pages_can_be_translated(browser_user: BrowserUser) -> None:
    for path in ("/", "/about", "/login", "/login?next=/change", "/register", "/reset", "/dev/mailbox"):
        await browser_user.get(path, scope_base=NEAR)
    for path in ("/not-me", "/reset/none", "/undo-email/none"):
        await browser_user.get(path, 404)
    await browser_user.client.get("/change")
    await browser_user.post("/account", {"name": "x"}, status=303)
    for status in sorted({*MESSAGES, 410, 501}):
        path = "/change" if status == 401 else f"/fail/{status}"
        if status != 401:
            await browser_user.get(path, status)
        as_json = await browser_user.client.get(path, headers={"Accept": "application/json"})
        assert Page((await as_json.get_json())["error"]["message"]).found in ([], [". "])


async def test_a_registration_and_a_login_can_be_translated(app: Quart, browser_user: BrowserUser) -> None:
    await create_user(app)
    right = {"email": OTHER, "password": PASSWORD, "password_confirm": PASSWORD}
    wrong: list[dict[str, Any]] = [{"email": "x"}, {"email": LONG}, {"email": EMAIL}]
    wrong += [{"password": LONG}, {"password_confirm": "x"}]
    wrong += [{"password": new, "password_confirm": new} for new in ("short", "x" * 300, OTHER, "password1", "\0" * 9)]
    await browser_user.post("/register", {}, *[right | change for change in wrong])
    await browser_user.look(await browser_user.client.post("/register", data=b"email=a&email=b", headers=URLENCODED))
    await browser_user.post("/register", right, status=303)
    await browser_user.post("/logout", {}, status=303)

    await browser_user.post("/login", {}, {"email": EMAIL, "password": "wrong"}, {"email": LONG, "password": LONG})
    app.config["RATE_LIMIT_LOGINS_PER_IP"] = "1 per hour"
    await browser_user.post("/login", {"email": EMAIL, "password": "wrong"}, status=429)


async def test_the_pages_of_a_user_can_be_translated(app: Quart, browser_user: BrowserUser) -> None:
    other = await create_user(app, OTHER)
    await write(app, profile.change_profile, other.id, name=None, phone="+4930123456", client=COMMAND_LINE)
    await register(browser_user.client)
    for agent in (FIREFOX, MAC, "curl/8", ""):
        form, here = {"email": EMAIL, "password": PASSWORD}, {"client": ("192.0.2.7", 4711)}
        await app.test_client().post("/login", form=form, headers={"User-Agent": agent}, scope_base=here)
    for event, origin in itertools.product(EVENTS, (Client("192.0.2.7", FIREFOX), COMMAND_LINE)):
        await write(app, audit_log.record, other.id + 1, event, origin)

    for path in ("/", "/account", "/sessions", "/account/activity", "/change", "/account/delete", "/verify"):
        await browser_user.get(path)
    await browser_user.post("/verify", {}, {"password": "wrong"})
    rows = re.findall(r'action="(/sessions/\d+/end)"', await page(browser_user.client, "/sessions"))
    await browser_user.post(rows[0], {}, status=303)
    await browser_user.post("/sessions/end-others", {}, status=303)
    for typed in ({"name": LONG}, {"name": "a\nb"}, {"phone": "12"}, {"phone": LONG}, {"phone": "+4930123456"}):
        await browser_user.post("/account", typed)
    await browser_user.post("/account", {"name": "Ada", "phone": "+4930999999"}, status=303)
    change = {"password": PASSWORD, "new_password": "a new one that is long", "new_password_confirm": ""}
    await browser_user.post("/change", {}, change, change | {"password": "wrong"}, change | {"new_password": "short"})
    await browser_user.post("/change", change | {"new_password_confirm": change["new_password"]}, status=303)
    await browser_user.post("/account/delete", {}, {"password": "wrong"})
    await browser_user.post("/account/delete", {"password": change["new_password"]}, status=303)


async def test_the_pages_of_mailed_links_can_be_translated(app: Quart, browser_user: BrowserUser) -> None:
    await create_user(app)
    new = {"new_password": "a new one that is long", "new_password_confirm": "a new one that is long"}
    await browser_user.post("/reset", {}, {"email": LONG})
    await browser_user.post("/reset", {"email": EMAIL}, status=303)
    reset = await link(app, "reset")
    await browser_user.get(reset)
    await browser_user.post(reset, {}, new | {"new_password_confirm": "x"})
    await browser_user.post(reset, new, status=303)
    await browser_user.get(reset, 404)
    await log_in(app.test_client(), password=new["new_password"])
    not_me = await link(app, "new_login")
    await browser_user.get(not_me)
    await browser_user.get("/dev/mailbox", scope_base=NEAR)
    await browser_user.post(not_me, {}, status=303)
    await execute(app, update(Email).where(Email.template == "reset").values(template="none"))
    await browser_user.get("/dev/mailbox", scope_base=NEAR)


async def test_a_change_of_the_email_address_can_be_translated(app: Quart, browser_user: BrowserUser) -> None:
    await register(browser_user.client)
    await browser_user.get("/change-email")
    await browser_user.post("/change-email", {}, {"email": "x"}, {"email": EMAIL})
    await browser_user.post("/change-email", {"email": OTHER}, status=303)
    for template in ("change_email", "email_changed"):
        path = await link(app, template)
        await browser_user.get(path)
        await browser_user.post(path, {}, status=303)


async def test_a_confirmation_of_the_email_address_can_be_translated(settings: dict[str, Any]) -> None:
    async with serving(settings | {"SECURITY_CONFIRMABLE": True, "SITE_NAME": "A Site"}) as app:
        browser_user, other = BrowserUser(app.test_client()), BrowserUser(app.test_client())
        form = {"email": EMAIL, "password": PASSWORD, "password_confirm": PASSWORD}
        await browser_user.post("/register", form, status=303)
        for path in ("/confirm", "/login"):
            await browser_user.get(path)
        await browser_user.post("/confirm", {}, {"email": LONG})
        await browser_user.post("/confirm", {"email": EMAIL}, status=303)
        path = await link(app, "confirm")
        await other.get(path)
        await other.post(path, {}, {"new_password": "short", "new_password_confirm": "short"})
        await browser_user.get(path)
        await browser_user.post(path, {}, status=303)


async def test_every_email_can_be_translated(app: Quart) -> None:
    facts = {"time": clock.now().isoformat(), "new_email": OTHER}
    wheres: list[dict[str, str]] = [{"ip": "192.0.2.7", "user_agent": FIREFOX}, {"at_command_line": "yes"}, {}]
    for template, where in itertools.product(TEMPLATES, wheres):
        for purpose in USER_REQUESTED if template in ALL_LINK else (None, *TokenPurpose):
            mail = Email(id=1, template=template, recipient=EMAIL, facts=facts | where, created_on=clock.now())
            mail.purpose, mail.secret = purpose, purpose and "a-secret"
            for recoverable in (True, False):
                app.config["SECURITY_RECOVERABLE"] = recoverable
                async with app.app_context():
                    message = await rendering.render(mail)
                for part in (message.html, message.subject, message.text):
                    assert Page(part).found == []
