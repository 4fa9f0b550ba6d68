"""Every page of the site, in every state in which a user can meet it, and the steps that lead there.

Add yours: a name, the template, the way there, and the status if it is not 200. Then test_browser.py looks at it too.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from support.actions import PASSWORD
from support.app import MAILBOX, ROOT
from support.browser_user import BrowserUser

Way = Callable[[BrowserUser], Awaitable[None]]

FEATURES = ROOT / "src/app/features"
ERROR = "errors/error.html"
NEW_PASSWORD = "another horse battery staple"
NEW = {"new_password": NEW_PASSWORD, "new_password_confirm": NEW_PASSWORD}
COMMON = {"new_password": "password1", "new_password_confirm": "password1"}
UNLIKE = {"new_password": "one horse battery", "new_password_confirm": "another horse battery"}
EMPTY = {"new_password": "", "new_password_confirm": ""}
CONFIRMATION = "email_confirmation/edit.html"
REGISTERING = "registration/new.html"
LOGIN = {"email": "{email}", "password": PASSWORD}
REGISTRATION = LOGIN | {"password_confirm": PASSWORD}
LONG_NAME = "Augusta Ada King-Noel, Countess of Lovelace, of the Analytical Engine"
END, END_ALL = "main form[action^='/sessions/'] button", "form[action='/sessions/end-others'] button"
PHONE = "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0"
FROM_ELSEWHERE = '<!doctype html><title>Elsewhere</title><main><form method="post" action="{}/logout"></form></main>'


def at(path: str) -> Way:
    return lambda user: user.go(path)


def sent(path: str, /, **typed: str) -> Way:
    """Send the form of a page with these values. "" is the current page; `{email}` becomes that of the user."""
    return lambda user: user.send(path, **user.filled_in(typed))


def posted(path: str, /, **typed: str) -> Way:
    """Send it over HTTP, without a look."""
    return lambda user: user.post(path, **user.filled_in(typed))


def pressed(path: str, button: str) -> Way:
    """Press a button of a page. "" is the current page."""
    return lambda user: user.press(path, button)


def after(*steps: Way) -> Way:
    async def one_by_one(browser_user: BrowserUser) -> None:
        for step in steps:
            await step(browser_user)

    return one_by_one


def opened(purpose: str) -> Way:
    """Open the newest mailed link of a kind."""

    async def open_link(browser_user: BrowserUser) -> None:
        await browser_user.go(await browser_user.link(purpose))

    return open_link


def submitted(purpose: str, **typed: str) -> Way:
    """Open the newest mailed link of a kind, and send the form there."""

    async def submit(browser_user: BrowserUser) -> None:
        await browser_user.send(await browser_user.link(purpose), **typed)

    return submit


def spent(purpose: str, **typed: str) -> Way:
    """Open a link once more after it was used."""

    async def spend(browser_user: BrowserUser) -> None:
        path = await browser_user.link(purpose)
        await browser_user.post(path, **typed)
        await browser_user.go(path)

    return spend


def registering(**typed: str) -> Way:
    return sent("/register", **REGISTRATION | {"password_confirm": typed.get("password", PASSWORD)} | typed)


def user(*steps: Way) -> Way:
    """Register, and go on from there."""
    return after(registered, *steps)


registered = posted("/register", **REGISTRATION)
logged_out = posted("/logout")
reset_requested = after(registered, logged_out, posted("/reset", email="{email}"))
password_changed = after(registered, posted("/change", password=PASSWORD, **NEW), logged_out)
new_address_requested = posted("/change-email", email="new-{email}")


async def follow_to_the_new_address(browser_user: BrowserUser) -> None:
    await browser_user.post(await browser_user.link("change-email"))


address_changed = after(registered, new_address_requested, follow_to_the_new_address, logged_out)


async def in_another_browser(browser_user: BrowserUser) -> None:
    await browser_user.page.context.clear_cookies()


async def logged_in_twice_more(browser_user: BrowserUser) -> None:
    await browser_user.log_in_elsewhere(PHONE)
    await browser_user.log_in_elsewhere("an-unknown-browser/" * 9)


async def sent_by_another_site(browser_user: BrowserUser) -> None:
    await browser_user.page.set_content(FROM_ELSEWHERE.format(browser_user.site.url))
    await browser_user.send()


async def logged_out_meanwhile(browser_user: BrowserUser) -> None:
    """Send a form that was opened before the session ended."""
    await browser_user.go("/account")
    await browser_user.page.context.clear_cookies(name="auth")
    await browser_user.send(name="Ada Lovelace")


async def known_but_the_database_is_away(browser_user: BrowserUser) -> None:
    """Bring the session of another site: a cookie is of a host, whatever the port."""
    away, browser_user.site = browser_user.site, browser_user.sites["ordinary"]
    await registered(browser_user)
    browser_user.site = away
    await browser_user.go("/account")


@dataclass(frozen=True)
class State:
    """`site` is one of those in SITES: what is shown may depend on the settings."""

    name: str
    template: str
    way: Way
    status: int = 200
    site: str = "ordinary"

    def __str__(self) -> str:
        return self.name

    async def come(self, browser_user: BrowserUser) -> None:
        """Bring a user to the page, and check that it is the one that is meant."""
        browser_user.site = browser_user.sites[self.site]
        await self.way(browser_user)
        shown = (browser_user.status, browser_user.site.rendered[-1])
        assert shown == (self.status, self.template), f"{shown} is shown at {browser_user.page.url}"


def refused(name: str, template: str, way: Way) -> State:
    return State(f"{name}, refused", template, way, 422)


LOGGED_OUT = [
    State("front page", "index.html", at("/")),
    State("about", "about.html", at("/about")),
    State("login", "login/new.html", at("/login")),
    State("login on the way to a page", "login/new.html", at("/account")),
    refused("login with nothing", "login/new.html", sent("/login", email="", password="")),
    refused("login without a password", "login/new.html", sent("/login", email="{email}", password="")),
    refused("login with a wrong password", "login/new.html", sent("/login", email="{email}", password="wrong")),
    State("registration", REGISTERING, at("/register")),
    State("registration on the way to a page", REGISTERING, at("/register?next=/account")),
    refused("registration with nothing", REGISTERING, registering(email="")),
    refused("registration with no address", REGISTERING, registering(email="ada")),
    refused("registration with two passwords", REGISTERING, registering(password_confirm="another")),
    refused("registration with a common password", REGISTERING, registering(password="password1")),
    refused("registration with a taken address", REGISTERING, user(logged_out, registering(password="another"))),
    State("mailbox", "dev_mailbox/index.html", after(reset_requested, at(MAILBOX))),
    State("mailbox with nothing in it", "dev_mailbox/index.html", at(MAILBOX), site="strict"),
    State("mailbox without its key", ERROR, at("/dev/mailbox"), 403),
]

WITH_A_LINK = [
    State("forgotten password", "password_reset/new.html", at("/reset")),
    refused("forgotten password of no account", "password_reset/new.html", sent("/reset", email="")),
    State("login after requesting a link", "login/new.html", sent("/reset", email="{email}")),
    State("new password", "password_reset/edit.html", after(reset_requested, opened("reset"))),
    refused("new password of nothing", "password_reset/edit.html", after(reset_requested, submitted("reset", **EMPTY))),
    refused(
        "new password typed twice", "password_reset/edit.html", after(reset_requested, submitted("reset", **UNLIKE))
    ),
    refused("new password of many", "password_reset/edit.html", after(reset_requested, submitted("reset", **COMMON))),
    State("login after a new password", "login/new.html", after(reset_requested, submitted("reset", **NEW))),
    State("link that was used", ERROR, after(reset_requested, spent("reset", **NEW)), 404),
    State("security alert", "security_alerts/not_me.html", after(password_changed, opened("not-me"))),
    State("login after a security alert", "login/new.html", after(password_changed, submitted("not-me"))),
    State("former address", "security_alerts/undo_email.html", after(address_changed, opened("undo-email"))),
    State("login after going back", "login/new.html", after(address_changed, submitted("undo-email"))),
]

LOGGED_IN = [
    State("front page with a welcome", "index.html", registering()),
    State("front page of a user", "index.html", user(at("/"))),
    State("front page of a long name", "index.html", user(posted("/account", name=LONG_NAME), at("/"))),
    State("account", "account/edit.html", user(at("/account"))),
    State("account after saving", "account/edit.html", user(sent("/account", name=LONG_NAME))),
    refused("account with a wrong name", "account/edit.html", user(sent("/account", name="Ada\u202e"))),
    State("login after a session has ended", "login/new.html", user(logged_out_meanwhile)),
    State("account with what was kept", "account/edit.html", user(logged_out_meanwhile, sent("", **LOGIN))),
    State("activity", "account/activity.html", user(posted("/account", name="Ada"), at("/account/activity"))),
    State("deletion", "account/delete.html", user(at("/account/delete"))),
    refused("deletion without a password", "account/delete.html", user(sent("/account/delete", password=""))),
    refused("deletion with a wrong password", "account/delete.html", user(sent("/account/delete", password="no"))),
    State("front page after a deletion", "index.html", user(sent("/account/delete", password=PASSWORD))),
    State("only session", "sessions/index.html", user(at("/sessions"))),
    State("sessions", "sessions/index.html", user(logged_in_twice_more, at("/sessions"))),
    State("sessions after ending one", "sessions/index.html", user(logged_in_twice_more, pressed("/sessions", END))),
    State(
        "sessions after ending all", "sessions/index.html", user(logged_in_twice_more, pressed("/sessions", END_ALL))
    ),
    State("change of the password", "password_change/edit.html", user(at("/change"))),
    refused("change with nothing", "password_change/edit.html", user(sent("/change", password="", **EMPTY))),
    refused("change with a wrong password", "password_change/edit.html", user(sent("/change", password="no", **NEW))),
    refused("change to two passwords", "password_change/edit.html", user(sent("/change", password=PASSWORD, **UNLIKE))),
    refused("change to a common one", "password_change/edit.html", user(sent("/change", password=PASSWORD, **COMMON))),
    State("front page after a change", "index.html", user(sent("/change", password=PASSWORD, **NEW))),
    State("change of the address", "email_change/new.html", user(at("/change-email"))),
    refused("change to nothing", "email_change/new.html", user(sent("/change-email", email=""))),
    refused("change to no address", "email_change/new.html", user(sent("/change-email", email="ada"))),
    refused("change to the same address", "email_change/new.html", user(sent("/change-email", email="{email}"))),
    State("account after requesting a link", "account/edit.html", user(sent("/change-email", email="new-{email}"))),
    State("new address", "email_change/edit.html", user(new_address_requested, opened("change-email"))),
    State(
        "account after a change of the address",
        "account/edit.html",
        user(new_address_requested, submitted("change-email")),
    ),
    State("password again", "reauthentication/new.html", user(at("/verify?next=/account/delete"))),
    refused("password again, none", "reauthentication/new.html", user(sent("/verify", password=""))),
    refused("password again, wrong", "reauthentication/new.html", user(sent("/verify", password="no"))),
]

WITH_A_CONFIRMATION = [
    State("login that needs a confirmation", "login/new.html", at("/login")),
    State("login after registering", "login/new.html", registering()),
    State("another confirmation", "email_confirmation/new.html", at("/confirm")),
    refused("another for no account", "email_confirmation/new.html", sent("/confirm", email="")),
    State("login after requesting again", "login/new.html", sent("/confirm", email="{email}")),
    State("confirmation", CONFIRMATION, user(opened("confirm"))),
    State("confirmation in another browser", CONFIRMATION, user(in_another_browser, opened("confirm"))),
    refused("confirmation with nothing", CONFIRMATION, user(in_another_browser, submitted("confirm", **EMPTY))),
    refused("confirmation with a common one", CONFIRMATION, user(in_another_browser, submitted("confirm", **COMMON))),
    State("login after a confirmation", "login/new.html", user(submitted("confirm"))),
]

ERRORS = [
    State("no address", ERROR, at("/%00"), 400),
    State("sent by another site", ERROR, sent_by_another_site, 403),
    State("no such page", ERROR, at("/nowhere"), 404),
    State("no such page for a user", ERROR, user(at("/nowhere")), 404),
    State("another method", ERROR, at("/logout"), 405),
    State("too much", ERROR, sent("/login", email="{email}", password="x" * 70_000), 413),
    State("too long an address", ERROR, at("/" + "x" * 300), 414),
    State("too many tries", ERROR, after(*[sent("/login", email="{email}", password="no")] * 2), 429, site="strict"),
    State("crash", ERROR, user(at("/crash")), 500),
    State("database away", ERROR, sent("/login", email="{email}", password="no"), 503, site="away"),
    State("database away for a user", ERROR, known_but_the_database_is_away, 503, site="away"),
]

CONFIRMING = [replace(state, site="confirming") for state in WITH_A_CONFIRMATION]
PAGE_STATES = sorted(FEATURES.glob("*/tests/page_states.py"))  # xdist needs one order in all its processes
OF_FEATURES = [f"app.features.{path.parts[-3]}.tests.page_states" for path in PAGE_STATES]
GENERATED = [f"support.{path.stem}" for path in sorted(Path(__file__).parent.glob("states_of_*.py"))]
STATES = [*LOGGED_OUT, *WITH_A_LINK, *LOGGED_IN, *CONFIRMING, *ERRORS]
# They use the steps above.
STATES += [state for module in (*OF_FEATURES, *GENERATED) for state in import_module(module).STATES]
# One for each template, the fullest: what is wrong is said in it, too.
ONE_OF_EACH = list({state.template: state for state in sorted(STATES, key=lambda state: state.status == 422)}.values())
