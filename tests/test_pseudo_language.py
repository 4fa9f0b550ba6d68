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


class Visitor:
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
def visitor(client: TestClientProtocol) -> Visitor:
    return Visitor(client)


def test_what_is_outside_of_brackets_is_found() -> None:
    seen = '<p title="No">⟦Yes <b>ada⟧</b> Nor</p><input type="submit" value="Go"><code>x</code><img alt="⟦a⟧">'

    assert sorted(part.strip() for part in Page(seen).found) == ["Go", "No", "Nor"]


async def test_public_pages_and_error_pages_can_be_translated(visitor: Visitor) -> None:
    for path in ("/", "/about", "/login", "/login?next=/change", "/register", "/reset", "/dev/mailbox"):
        await visitor.get(path, scope_base=NEAR)
    for path in ("/not-me", "/reset/none", "/undo-email/none"):
        await visitor.get(path, 404)
    await visitor.client.get("/change")
    await visitor.post("/account", {"name": "x"}, status=303)
    for status in sorted({*MESSAGES, 410, 501}):
        path = "/change" if status == 401 else f"/fail/{status}"
        if status != 401:
            await visitor.get(path, status)
        as_json = await visitor.client.get(path, headers={"Accept": "application/json"})
        assert Page((await as_json.get_json())["error"]["message"]).found in ([], [". "])


async def test_a_registration_and_a_login_can_be_translated(app: Quart, visitor: Visitor) -> None:
    await create_user(app)
    right = {"email": OTHER, "password": PASSWORD, "password_confirm": PASSWORD}
    wrong: list[dict[str, Any]] = [{"email": "x"}, {"email": LONG}, {"email": EMAIL}]
    wrong += [{"password": LONG}, {"password_confirm": "x"}]
    wrong += [{"password": new, "password_confirm": new} for new in ("short", "x" * 300, OTHER, "password1", "\0" * 9)]
    await visitor.post("/register", {}, *[right | change for change in wrong])
    await visitor.look(await visitor.client.post("/register", data=b"email=a&email=b", headers=URLENCODED))
    await visitor.post("/register", right, status=303)
    await visitor.post("/logout", {}, status=303)

    await visitor.post("/login", {}, {"email": EMAIL, "password": "wrong"}, {"email": LONG, "password": LONG})
    app.config["RATE_LIMIT_LOGINS_PER_IP"] = "1 per hour"
    await visitor.post("/login", {"email": EMAIL, "password": "wrong"}, status=429)


async def test_the_pages_of_a_user_can_be_translated(app: Quart, visitor: Visitor) -> None:
    other = await create_user(app, OTHER)
    await write(app, profile.change_profile, other.id, name=None, phone="+4930123456", client=COMMAND_LINE)
    await register(visitor.client)
    for agent in (FIREFOX, MAC, "curl/8", ""):
        form, here = {"email": EMAIL, "password": PASSWORD}, {"client": ("192.0.2.7", 4711)}
        await app.test_client().post("/login", form=form, headers={"User-Agent": agent}, scope_base=here)
    for event, origin in itertools.product(EVENTS, (Client("192.0.2.7", FIREFOX), COMMAND_LINE)):
        await write(app, audit_log.record, other.id + 1, event, origin)

    for path in ("/", "/account", "/sessions", "/account/activity", "/change", "/account/delete", "/verify"):
        await visitor.get(path)
    await visitor.post("/verify", {}, {"password": "wrong"})
    rows = re.findall(r'action="(/sessions/\d+/end)"', await page(visitor.client, "/sessions"))
    await visitor.post(rows[0], {}, status=303)
    await visitor.post("/sessions/end-others", {}, status=303)
    for typed in ({"name": LONG}, {"name": "a\nb"}, {"phone": "12"}, {"phone": LONG}, {"phone": "+4930123456"}):
        await visitor.post("/account", typed)
    await visitor.post("/account", {"name": "Ada", "phone": "+4930999999"}, status=303)
    change = {"password": PASSWORD, "new_password": "a new one that is long", "new_password_confirm": ""}
    await visitor.post("/change", {}, change, change | {"password": "wrong"}, change | {"new_password": "short"})
    await visitor.post("/change", change | {"new_password_confirm": change["new_password"]}, status=303)
    await visitor.post("/account/delete", {}, {"password": "wrong"})
    await visitor.post("/account/delete", {"password": change["new_password"]}, status=303)


async def test_the_pages_of_mailed_links_can_be_translated(app: Quart, visitor: Visitor) -> None:
    await create_user(app)
    new = {"new_password": "a new one that is long", "new_password_confirm": "a new one that is long"}
    await visitor.post("/reset", {}, {"email": LONG})
    await visitor.post("/reset", {"email": EMAIL}, status=303)
    reset = await link(app, "reset")
    await visitor.get(reset)
    await visitor.post(reset, {}, new | {"new_password_confirm": "x"})
    await visitor.post(reset, new, status=303)
    await visitor.get(reset, 404)
    await log_in(app.test_client(), password=new["new_password"])
    not_me = await link(app, "new_login")
    await visitor.get(not_me)
    await visitor.get("/dev/mailbox", scope_base=NEAR)
    await visitor.post(not_me, {}, status=303)
    await execute(app, update(Email).where(Email.template == "reset").values(template="none"))
    await visitor.get("/dev/mailbox", scope_base=NEAR)


async def test_a_change_of_the_email_address_can_be_translated(app: Quart, visitor: Visitor) -> None:
    await register(visitor.client)
    await visitor.get("/change-email")
    await visitor.post("/change-email", {}, {"email": "x"}, {"email": EMAIL})
    await visitor.post("/change-email", {"email": OTHER}, status=303)
    for template in ("change_email", "email_changed"):
        path = await link(app, template)
        await visitor.get(path)
        await visitor.post(path, {}, status=303)


async def test_a_confirmation_of_the_email_address_can_be_translated(settings: dict[str, Any]) -> None:
    async with serving(settings | {"SECURITY_CONFIRMABLE": True, "SITE_NAME": "A Site"}) as app:
        visitor, other = Visitor(app.test_client()), Visitor(app.test_client())
        form = {"email": EMAIL, "password": PASSWORD, "password_confirm": PASSWORD}
        await visitor.post("/register", form, status=303)
        for path in ("/confirm", "/login"):
            await visitor.get(path)
        await visitor.post("/confirm", {}, {"email": LONG})
        await visitor.post("/confirm", {"email": EMAIL}, status=303)
        path = await link(app, "confirm")
        await other.get(path)
        await other.post(path, {}, {"new_password": "short", "new_password_confirm": "short"})
        await visitor.get(path)
        await visitor.post(path, {}, status=303)


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
                    letter = await rendering.render(mail)
                for part in (letter.html, letter.subject, letter.text):
                    assert Page(part).found == []
