"""Every page of the site, in every state in which a user can meet it.

Add yours: a name, the template, the way there, and the status if it is not 200. Then test_browser.py looks at it too.
"""

from dataclasses import dataclass

from support.actions import PASSWORD
from support.browser_steps import (
    NEW,
    NEW_PASSWORD,
    Way,
    address_changed,
    after,
    answered,
    at,
    in_another_browser,
    known_but_the_database_is_away,
    logged_in_twice_more,
    logged_out_meanwhile,
    new_address_asked,
    opened,
    password_changed,
    posted,
    pressed,
    reset_asked,
    sent,
    sent_by_another_site,
    signed_up,
    spent,
    user,
)
from support.browser_user import BrowserUser

ERROR = "errors/error.html"
COMMON = {"new_password": "password1", "new_password_confirm": "password1"}
UNLIKE = {"new_password": "one horse battery", "new_password_confirm": "another horse battery"}
EMPTY = {"new_password": "", "new_password_confirm": ""}
LONG_NAME = "Augusta Ada King-Noel, Countess of Lovelace, of the Analytical Engine"


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


def refused(name: str, template: str, way: Way, *, site: str = "ordinary") -> State:
    return State(f"{name}, refused", template, way, 422, site)


LOGGED_OUT = [
    State("front page", "index.html", at("/")),
    State("about", "about.html", at("/about")),
    State("login", "login/new.html", at("/login")),
    State("login on the way to a page", "login/new.html", at("/account")),
    refused("login with nothing", "login/new.html", sent("/login", email="", password="")),
    refused("login without a password", "login/new.html", sent("/login", email="{email}", password="")),
    refused("login with a wrong password", "login/new.html", sent("/login", email="{email}", password="wrong")),
    State("registration", "registration/new.html", at("/register")),
    State("registration on the way to a page", "registration/new.html", at("/register?next=/account")),
    refused("registration with nothing", "registration/new.html", sent("/register", email="")),
    refused(
        "registration with no address",
        "registration/new.html",
        sent("/register", email="ada", password=PASSWORD, password_confirm=PASSWORD),
    ),
    refused(
        "registration with two passwords",
        "registration/new.html",
        sent("/register", email="{email}", password=PASSWORD, password_confirm="another"),
    ),
    refused(
        "registration with a common password",
        "registration/new.html",
        sent("/register", email="{email}", password="password1", password_confirm="password1"),
    ),
    refused(
        "registration with a taken address",
        "registration/new.html",
        user(
            posted("/logout"), sent("/register", email="{email}", password=NEW_PASSWORD, password_confirm=NEW_PASSWORD)
        ),
    ),
    State("mailbox", "dev_mailbox/index.html", after(reset_asked, at("/dev/mailbox"))),
    State("mailbox with nothing in it", "dev_mailbox/index.html", at("/dev/mailbox"), site="strict"),
]

WITH_A_LINK = [
    State("forgotten password", "password_reset/new.html", at("/reset")),
    refused("forgotten password of no account", "password_reset/new.html", sent("/reset", email="")),
    State("login after asking for a link", "login/new.html", sent("/reset", email="{email}")),
    State("new password", "password_reset/edit.html", after(reset_asked, opened("reset"))),
    refused("new password of nothing", "password_reset/edit.html", after(reset_asked, answered("reset", **EMPTY))),
    refused("new password typed twice", "password_reset/edit.html", after(reset_asked, answered("reset", **UNLIKE))),
    refused("new password of many", "password_reset/edit.html", after(reset_asked, answered("reset", **COMMON))),
    State("login after a new password", "login/new.html", after(reset_asked, answered("reset", **NEW))),
    State("link that was used", ERROR, after(reset_asked, spent("reset", **NEW)), 404),
    State("link that was cut", ERROR, at("/reset/"), 404),
    State("security alert", "security_alerts/not_me.html", after(password_changed, opened("not-me"))),
    State("login after a security alert", "login/new.html", after(password_changed, answered("not-me"))),
    State("security alert that was used", ERROR, after(password_changed, spent("not-me")), 404),
    State("former address", "security_alerts/undo_email.html", after(address_changed, opened("undo-email"))),
    State("login after going back", "login/new.html", after(address_changed, answered("undo-email"))),
]

LOGGED_IN = [
    State(
        "front page with a welcome",
        "index.html",
        sent("/register", email="{email}", password=PASSWORD, password_confirm=PASSWORD),
    ),
    State("front page of a user", "index.html", user(at("/"))),
    State("front page of a long name", "index.html", user(posted("/account", name=LONG_NAME), at("/"))),
    State("account", "account/edit.html", user(at("/account"))),
    State("account after saving", "account/edit.html", user(sent("/account", name=LONG_NAME))),
    refused("account with no number", "account/edit.html", user(sent("/account", phone="12345"))),
    refused("account with everything wrong", "account/edit.html", user(sent("/account", name="Ada\u202e", phone="12"))),
    State("login after a session has ended", "login/new.html", user(logged_out_meanwhile)),
    State(
        "account with what was kept",
        "account/edit.html",
        user(logged_out_meanwhile, sent("", email="{email}", password=PASSWORD)),
    ),
    State("activity", "account/activity.html", user(posted("/account", name="Ada"), at("/account/activity"))),
    State("deletion", "account/delete.html", user(at("/account/delete"))),
    refused("deletion without a password", "account/delete.html", user(sent("/account/delete", password=""))),
    refused("deletion with a wrong password", "account/delete.html", user(sent("/account/delete", password="no"))),
    State("front page after a deletion", "index.html", user(sent("/account/delete", password=PASSWORD))),
    State("only session", "sessions/index.html", user(at("/sessions"))),
    State("sessions", "sessions/index.html", user(logged_in_twice_more, at("/sessions"))),
    State(
        "sessions after ending one",
        "sessions/index.html",
        user(logged_in_twice_more, pressed("/sessions", "main form[action^='/sessions/'] button")),
    ),
    State(
        "sessions after ending all others",
        "sessions/index.html",
        user(logged_in_twice_more, pressed("/sessions", "form[action='/sessions/end-others'] button")),
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
    State("account after asking for a link", "account/edit.html", user(sent("/change-email", email="new-{email}"))),
    State("new address", "email_change/edit.html", user(new_address_asked, opened("change-email"))),
    State(
        "account after a change of the address", "account/edit.html", user(new_address_asked, answered("change-email"))
    ),
    State("new address that was confirmed before", ERROR, user(new_address_asked, spent("change-email")), 404),
    State("password again", "reauthentication/new.html", user(at("/verify?next=/account/delete"))),
    refused("password again, none", "reauthentication/new.html", user(sent("/verify", password=""))),
    refused("password again, wrong", "reauthentication/new.html", user(sent("/verify", password="no"))),
]

WITH_A_CONFIRMATION = [
    State("login that needs a confirmation", "login/new.html", at("/login"), site="confirming"),
    State(
        "login after registering",
        "login/new.html",
        sent("/register", email="{email}", password=PASSWORD, password_confirm=PASSWORD),
        site="confirming",
    ),
    State("another confirmation", "email_confirmation/new.html", at("/confirm"), site="confirming"),
    refused("another for no account", "email_confirmation/new.html", sent("/confirm", email=""), site="confirming"),
    State("login after asking again", "login/new.html", sent("/confirm", email="{email}"), site="confirming"),
    State("confirmation", "email_confirmation/edit.html", after(signed_up, opened("confirm")), site="confirming"),
    State(
        "confirmation in another browser",
        "email_confirmation/edit.html",
        after(signed_up, in_another_browser, opened("confirm")),
        site="confirming",
    ),
    refused(
        "confirmation with nothing",
        "email_confirmation/edit.html",
        after(signed_up, in_another_browser, answered("confirm", **EMPTY)),
        site="confirming",
    ),
    refused(
        "confirmation with a common password",
        "email_confirmation/edit.html",
        after(signed_up, in_another_browser, answered("confirm", **COMMON)),
        site="confirming",
    ),
    State("login after a confirmation", "login/new.html", after(signed_up, answered("confirm")), site="confirming"),
    State("confirmation that was used", ERROR, after(signed_up, spent("confirm")), 404, site="confirming"),
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

STATES = [*LOGGED_OUT, *WITH_A_LINK, *LOGGED_IN, *WITH_A_CONFIRMATION, *ERRORS]
# One for each template, the fullest: what is wrong is said in it, too.
ONE_OF_EACH = list({state.template: state for state in sorted(STATES, key=lambda state: state.status == 422)}.values())
