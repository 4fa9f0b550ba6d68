"""A language in which every message stands in brackets: what is seen outside of them nobody can translate."""

import gettext as catalogues
import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from quart import Quart, Response, abort
from quart.typing import TestClientProtocol
from sqlalchemy import update

from app import languages, letters, templating
from app.middleware import authentication
from app.middleware import languages as hook
from app.middleware.error_words import WORDS
from app.middleware.public_endpoints import PUBLIC_ENDPOINTS
from app.models import Mail, clock, db
from app.models.core import DatabaseUnavailable
from app.models.user_token import ASKED_FOR, Purpose
from app.services import accounts, activity
from app.services.activity import COMMAND_LINE, Origin
from app.words import EVENTS
from conftest import serving
from letters_read import link
from people import EMAIL, PASSWORD, create_user, execute, log_in, register
from test_mailer import ALL_LINK, TEMPLATES
from test_words import FIREFOX, MAC

OTHER = "eve@example.com"
ATTRIBUTES = {"title", "aria-label", "alt", "placeholder", "data-other", "data-answer"}
UNSEEN = {"script", "style"}
AS_IT_IS = {"time", "code"}  # a moment, a number: Babel's and ours
DATA = re.compile(
    r"[\w.+-]+@example\.com|Ada <ada@example\.com>|A Site|English|Deutsch|Français"
    r"|https?://[^\s⟧]+|192\.0\.2\.7|curl|none: mails/none\.txt"
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
    """What is seen of a page, or read out, and stands in no brackets."""

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
        """Return what of a text stands in no brackets; a message may begin in one element and end in another."""
        left = ""
        for character in text:
            self.depth -= character == "⟧"
            left += "" if self.depth or character in "⟦⟧" else character
            self.depth += character == "⟦"
        return left


@pytest.fixture(autouse=True)
def pseudo(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (languages, hook, templating):
        monkeypatch.setattr(module, "catalogue", lambda _language: Pseudo())


@pytest.fixture
def database_uri(sqlite_template: Path, tmp_path: Path) -> str:
    """Return one database: what a page says does not depend on its kind."""
    (tmp_path / "app.db").write_bytes(sqlite_template.read_bytes())
    return "sqlite:///app.db"


@pytest.fixture
async def app(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Quart]:
    """Serve a site with everything switched on, and a page that fails as it is told to."""
    monkeypatch.setattr(authentication, "PUBLIC_ENDPOINTS", PUBLIC_ENDPOINTS | {"fail"})

    async def fail(status: int) -> str:
        if status == 503:
            raise DatabaseUnavailable("gone")
        return abort(status) if status != 500 else str(1 // 0)

    more = {"SITE_NAME": "A Site", "SECURITY_SEND_REGISTER_EMAIL": True}
    async with serving(settings | more, lambda app: app.add_url_rule("/fail/<int:status>", "fail", fail)) as app:
        yield app


class Visitor:
    """A browser, and whoever looks at each page that it gets."""

    def __init__(self, client: TestClientProtocol) -> None:
        self.client = client
        self.seen: set[str] = set()

    async def look(self, answer: Response) -> Response:
        text = await answer.get_data(as_text=True)
        if answer.mimetype == "text/html" and answer.status_code != 303:
            self.seen.add(re.sub(r"<[^>]+>", "", text))
            assert Page(text).found == [], text
        return answer

    async def get(self, path: str, status: int = 200, **how: Any) -> None:
        answer = await self.look(await self.client.get(path, **how))
        assert answer.status_code == status, path

    async def post(self, path: str, *forms: dict[str, Any], status: int = 422) -> None:
        """Send each form, and see what comes of it and what stands on the page after that."""
        for form in forms:
            answer = await self.look(await self.client.post(path, form=form))
            assert answer.status_code == status, form
            if answer.status_code == 303:
                await self.look(await self.client.get(answer.location, follow_redirects=True))

    def saw(self, *words: str) -> None:
        for each in words:
            assert any(f"⟦{each}" in text for text in self.seen), each


@pytest.fixture
def visitor(client: TestClientProtocol) -> Visitor:
    return Visitor(client)


def test_what_is_outside_of_brackets_is_found() -> None:
    seen = '<p title="No">⟦Yes <b>ada⟧</b> Nor</p><input type="submit" value="Go"><code>x</code><img alt="⟦a⟧">'

    assert sorted(part.strip() for part in Page(seen).found) == ["Go", "No", "Nor"]


async def test_a_strangers_pages_can_be_translated(visitor: Visitor) -> None:
    for path in ("/", "/about", "/login", "/login?next=/change", "/register", "/reset", "/dev/mailbox"):
        await visitor.get(path, scope_base=NEAR)
    for path in ("/reset", "/not-me", "/reset/none", "/undo-email/none"):
        await visitor.get(path, 200 if path == "/reset" else 404)
    await visitor.client.get("/change")
    await visitor.post("/account", {"name": "x"}, status=303)
    visitor.saw("Skip to the content", "Your log-in has ended")


@pytest.mark.parametrize("status", sorted({*WORDS, 410, 501}))
async def test_every_error_page_can_be_translated(visitor: Visitor, status: int) -> None:
    if status == 401:
        answer = await visitor.client.get("/change", headers={"Accept": "application/json"})
    else:
        await visitor.get(f"/fail/{status}", status)
        answer = await visitor.client.get(f"/fail/{status}", headers={"Accept": "application/json"})

    assert Page((await answer.get_json())["error"]["message"]).found in ([], [". "])


async def test_what_a_registration_says_can_be_translated(app: Quart, visitor: Visitor) -> None:
    await create_user(app)
    right = {"email": OTHER, "password": PASSWORD, "password_confirm": PASSWORD}
    wrong: list[dict[str, Any]] = [{}, {"email": "x"}, {"email": LONG}, {"email": EMAIL}]
    wrong += [{"password": LONG}, {"password_confirm": "x"}]
    wrong += [{"password": new, "password_confirm": new} for new in ("short", "x" * 300, OTHER, "password1", "\0" * 9)]

    await visitor.post("/register", {}, *[right | change for change in wrong if change])
    await visitor.look(await visitor.client.post("/register", data=b"email=a&email=b", headers=URLENCODED))
    await visitor.post("/register", right, status=303)
    visitor.saw("There is an account with", ["Use ", "(least)s characters"][0], "Do not use", "This is one of")
    visitor.saw("This field was sent", "The two passwords differ", "This address is too long", "Welcome. Your account")


async def test_what_a_log_in_says_can_be_translated(app: Quart, visitor: Visitor) -> None:
    await create_user(app, name="Ada")
    await visitor.post("/login", {}, {"email": EMAIL, "password": "wrong"}, {"email": LONG, "password": LONG})
    await visitor.post("/login", {"email": EMAIL, "password": PASSWORD}, status=303)
    for path in ("/", "/account", "/sessions", "/account/activity", "/change", "/account/delete", "/verify"):
        await visitor.get(path)
    await visitor.post("/verify", {}, {"password": "wrong"})
    await visitor.post("/logout", {}, status=303)
    visitor.saw("The address or the password is wrong", "Logged in as")


async def test_what_a_persons_pages_say_can_be_translated(app: Quart, visitor: Visitor) -> None:
    other = await create_user(app, OTHER)
    async with app.app_context():
        await db.write(accounts.change_profile, other.id, name=None, phone="+4930123456", origin=COMMAND_LINE)
    await register(visitor.client)
    for profile in ({"name": LONG}, {"name": "a\nb"}, {"phone": "12"}, {"phone": LONG}, {"phone": "+4930123456"}):
        await visitor.post("/account", profile)
    await visitor.post("/account", {"name": "Ada", "phone": "+4930999999"}, status=303)
    change = {"password": PASSWORD, "new_password": "a new one that is long", "new_password_confirm": ""}
    await visitor.post("/change", {}, change, change | {"password": "wrong"}, change | {"new_password": "short"})
    await visitor.post("/change", change | {"new_password_confirm": change["new_password"]}, status=303)
    await visitor.post("/account/delete", {}, {"password": "wrong"})
    await visitor.post("/account/delete", {"password": change["new_password"]}, status=303)
    visitor.saw("Another account has this number", "Saved.", "Your password is changed", "Your account is deleted")


async def test_what_other_browsers_and_events_are_called_can_be_translated(app: Quart, visitor: Visitor) -> None:
    user = await create_user(app)
    for agent in (FIREFOX, MAC, "curl/8", "Nonesuch", "", "iPad"):
        await log_in_with(app, agent)
    await log_in(visitor.client, headers=None)
    async with app.app_context():
        for event in EVENTS:
            for origin in (Origin("192.0.2.7", FIREFOX), COMMAND_LINE):
                await db.write(activity.note, user.id, event, origin)

    await visitor.get("/account/activity")
    await visitor.get("/sessions")
    rows = re.findall(r'action="(/sessions/\d+/end)"', await page_of(visitor.client))
    await visitor.post(rows[0], {}, status=303)
    await visitor.post("/sessions/end-others", {}, status=303)
    visitor.saw("The other browser is logged out", "All other browsers are logged out", *EVENTS_SAID)


EVENTS_SAID = ["Somebody logged in", "The account was given a role", "the command line of the site", "A browser"]


async def log_in_with(app: Quart, user_agent: str) -> None:
    typed = {"email": EMAIL, "password": PASSWORD}
    scope = {"client": ("192.0.2.7", 4711)}
    await app.test_client().post("/login", form=typed, headers={"User-Agent": user_agent}, scope_base=scope)


async def page_of(client: TestClientProtocol) -> str:
    return str(await (await client.get("/sessions")).get_data(as_text=True))


async def test_what_links_in_mails_open_can_be_translated(app: Quart, visitor: Visitor) -> None:
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
    not_me = await link(app, "new_log_in")
    await visitor.get(not_me)
    await visitor.get("/dev/mailbox", scope_base=NEAR)
    await visitor.post(not_me, {}, status=303)
    await execute(app, update(Mail).where(Mail.template == "reset").values(template="none"))
    await visitor.get("/dev/mailbox", scope_base=NEAR)
    visitor.saw("This mail cannot be written", "Open its link")
    visitor.saw("This link does not work", "Every browser is logged out and", "Your password is changed, and every")


async def test_changing_the_address_can_be_translated(app: Quart, visitor: Visitor) -> None:
    await register(visitor.client)
    await visitor.get("/change-email")
    await visitor.post("/change-email", {}, {"email": "x"}, {"email": EMAIL})
    await visitor.post("/change-email", {"email": OTHER}, status=303)
    path = await link(app, "change_email")
    await visitor.get(path)
    await visitor.post(path, {}, status=303)
    undo = await link(app, "email_changed")
    await visitor.get(undo)
    await visitor.post(undo, {}, status=303)
    visitor.saw("This is your address already", "Your address is now", "A mail is on its way", "We give the account")


async def test_confirming_the_address_can_be_translated(settings: dict[str, Any]) -> None:
    async with serving(settings | {"SECURITY_CONFIRMABLE": True, "SITE_NAME": "A Site"}) as app:
        visitor, other = Visitor(app.test_client()), Visitor(app.test_client())
        form = {"email": EMAIL, "password": PASSWORD, "password_confirm": PASSWORD}
        await visitor.post("/register", form, status=303)
        await visitor.get("/confirm")
        await visitor.get("/login")
        await visitor.post("/confirm", {}, {"email": LONG})
        await visitor.post("/confirm", {"email": EMAIL}, status=303)
        path = await link(app, "confirm")
        await other.get(path)
        await other.post(path, {}, {"new_password": "short", "new_password_confirm": "short"})
        await visitor.get(path)
        await visitor.post(path, {}, status=303)
    visitor.saw("If an account with this address waits", "Your address is confirmed", "You have just registered")
    other.saw("The account was opened in another browser")


async def test_too_many_tries_can_be_translated(app: Quart, visitor: Visitor) -> None:
    app.config["THROTTLE_LOG_INS_PER_ADDRESS"] = "1 per hour"
    await visitor.post("/login", {"email": EMAIL, "password": "wrong"})
    await visitor.post("/login", {"email": EMAIL, "password": "wrong"}, status=429)
    visitor.saw("Too many tries", "Try again in")


# Mails


@pytest.mark.parametrize("template", TEMPLATES)
async def test_every_mail_can_be_translated(app: Quart, template: str) -> None:
    facts = {"time": clock.now().isoformat(), "new_email": OTHER}
    wheres: list[dict[str, str]] = [{"ip": "192.0.2.7", "user_agent": FIREFOX}, {"at_command_line": "yes"}, {}]
    for where in wheres:
        for purpose in ASKED_FOR if template in ALL_LINK else (None, *Purpose):
            mail = Mail(id=1, template=template, recipient=EMAIL, facts=facts | where, created_on=clock.now())
            mail.purpose, mail.secret = purpose, purpose and "a-secret"
            for recoverable in (True, False):
                app.config["SECURITY_RECOVERABLE"] = recoverable
                async with app.app_context():
                    letter = await letters.write(mail)
                for part in (letter.html, letter.subject, letter.text):
                    assert Page(part).found == []
