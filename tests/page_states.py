"""Every page of the site, in every state in which a person can meet it.

Add yours: a name, the template, the way there, and the status if it is not 200. What holds for every page
(test_accessibility.py) then is held against it too.
"""

from dataclasses import dataclass

from people import PASSWORD
from visitor import Visitor
from ways import (
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
    person,
    posted,
    pressed,
    reset_asked,
    sent,
    sent_by_another_site,
    signed_up,
    spent,
)

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

    async def come(self, visitor: Visitor) -> None:
        """Bring somebody to the page, and see that it is the one that is meant."""
        visitor.site = visitor.sites[self.site]
        await self.way(visitor)
        shown = (visitor.status, visitor.site.rendered[-1])
        assert shown == (self.status, self.template), f"{shown} is shown at {visitor.page.url}"


def refused(name: str, template: str, way: Way, *, site: str = "ordinary") -> State:
    return State(f"{name}, refused", template, way, 422, site)


OF_A_STRANGER = [
    State("front page", "index.html", at("/")),
    State("about", "about.html", at("/about")),
    State("log-in", "sessions/new.html", at("/login")),
    State("log-in on the way to a page", "sessions/new.html", at("/account")),
    refused("log-in with nothing", "sessions/new.html", sent("/login", email="", password="")),
    refused("log-in without a password", "sessions/new.html", sent("/login", email="{email}", password="")),
    refused("log-in with a wrong password", "sessions/new.html", sent("/login", email="{email}", password="wrong")),
    State("registration", "registrations/new.html", at("/register")),
    State("registration on the way to a page", "registrations/new.html", at("/register?next=/account")),
    refused("registration with nothing", "registrations/new.html", sent("/register", email="")),
    refused(
        "registration with no address",
        "registrations/new.html",
        sent("/register", email="ada", password=PASSWORD, password_confirm=PASSWORD),
    ),
    refused(
        "registration with two passwords",
        "registrations/new.html",
        sent("/register", email="{email}", password=PASSWORD, password_confirm="another"),
    ),
    refused(
        "registration with a common password",
        "registrations/new.html",
        sent("/register", email="{email}", password="password1", password_confirm="password1"),
    ),
    refused(
        "registration with a taken address",
        "registrations/new.html",
        person(
            posted("/logout"), sent("/register", email="{email}", password=NEW_PASSWORD, password_confirm=NEW_PASSWORD)
        ),
    ),
    State("mailbox", "mailbox/index.html", after(reset_asked, at("/dev/mailbox"))),
    State("mailbox with nothing in it", "mailbox/index.html", at("/dev/mailbox"), site="strict"),
]

WITH_A_LINK = [
    State("forgotten password", "recoveries/new.html", at("/reset")),
    refused("forgotten password of nobody", "recoveries/new.html", sent("/reset", email="")),
    State("log-in after asking for a link", "sessions/new.html", sent("/reset", email="{email}")),
    State("new password", "recoveries/edit.html", after(reset_asked, opened("reset"))),
    refused("new password of nothing", "recoveries/edit.html", after(reset_asked, answered("reset", **EMPTY))),
    refused("new password typed twice", "recoveries/edit.html", after(reset_asked, answered("reset", **UNLIKE))),
    refused("new password of many", "recoveries/edit.html", after(reset_asked, answered("reset", **COMMON))),
    State("log-in after a new password", "sessions/new.html", after(reset_asked, answered("reset", **NEW))),
    State("link that was used", ERROR, after(reset_asked, spent("reset", **NEW)), 404),
    State("link that was cut", ERROR, at("/reset/"), 404),
    State("alarm", "alarms/not_me.html", after(password_changed, opened("not-me"))),
    State("log-in after an alarm", "sessions/new.html", after(password_changed, answered("not-me"))),
    State("alarm that was raised before", ERROR, after(password_changed, spent("not-me")), 404),
    State("former address", "alarms/undo_email.html", after(address_changed, opened("undo-email"))),
    State("log-in after going back", "sessions/new.html", after(address_changed, answered("undo-email"))),
]

OF_A_PERSON = [
    State(
        "front page with a welcome",
        "index.html",
        sent("/register", email="{email}", password=PASSWORD, password_confirm=PASSWORD),
    ),
    State("front page of a person", "index.html", person(at("/"))),
    State("front page of a long name", "index.html", person(posted("/account", name=LONG_NAME), at("/"))),
    State("account", "accounts/edit.html", person(at("/account"))),
    State("account after saving", "accounts/edit.html", person(sent("/account", name=LONG_NAME))),
    refused("account with no number", "accounts/edit.html", person(sent("/account", phone="12345"))),
    refused(
        "account with everything wrong", "accounts/edit.html", person(sent("/account", name="Ada\u202e", phone="12"))
    ),
    State("log-in after one that has ended", "sessions/new.html", person(logged_out_meanwhile)),
    State(
        "account with what was kept",
        "accounts/edit.html",
        person(logged_out_meanwhile, sent("", email="{email}", password=PASSWORD)),
    ),
    State("activity", "accounts/activity.html", person(posted("/account", name="Ada"), at("/account/activity"))),
    State("deletion", "accounts/delete.html", person(at("/account/delete"))),
    refused("deletion without a password", "accounts/delete.html", person(sent("/account/delete", password=""))),
    refused("deletion with a wrong password", "accounts/delete.html", person(sent("/account/delete", password="no"))),
    State("front page after a deletion", "index.html", person(sent("/account/delete", password=PASSWORD))),
    State("only log-in", "sessions/index.html", person(at("/sessions"))),
    State("log-ins", "sessions/index.html", person(logged_in_twice_more, at("/sessions"))),
    State(
        "log-ins after ending one",
        "sessions/index.html",
        person(logged_in_twice_more, pressed("/sessions", "main form[action^='/sessions/'] button")),
    ),
    State(
        "log-ins after ending all others",
        "sessions/index.html",
        person(logged_in_twice_more, pressed("/sessions", "form[action='/sessions/end-others'] button")),
    ),
    State("change of the password", "passwords/edit.html", person(at("/change"))),
    refused("change with nothing", "passwords/edit.html", person(sent("/change", password="", **EMPTY))),
    refused("change with a wrong password", "passwords/edit.html", person(sent("/change", password="no", **NEW))),
    refused("change to two passwords", "passwords/edit.html", person(sent("/change", password=PASSWORD, **UNLIKE))),
    refused("change to a common one", "passwords/edit.html", person(sent("/change", password=PASSWORD, **COMMON))),
    State("front page after a change", "index.html", person(sent("/change", password=PASSWORD, **NEW))),
    State("change of the address", "emails/new.html", person(at("/change-email"))),
    refused("change to nothing", "emails/new.html", person(sent("/change-email", email=""))),
    refused("change to no address", "emails/new.html", person(sent("/change-email", email="ada"))),
    refused("change to the same address", "emails/new.html", person(sent("/change-email", email="{email}"))),
    State("account after asking for a link", "accounts/edit.html", person(sent("/change-email", email="new-{email}"))),
    State("new address", "emails/edit.html", person(new_address_asked, opened("change-email"))),
    State(
        "account after a change of the address",
        "accounts/edit.html",
        person(new_address_asked, answered("change-email")),
    ),
    State("new address that was confirmed before", ERROR, person(new_address_asked, spent("change-email")), 404),
    State("password again", "verifications/new.html", person(at("/verify?next=/account/delete"))),
    refused("password again, none", "verifications/new.html", person(sent("/verify", password=""))),
    refused("password again, wrong", "verifications/new.html", person(sent("/verify", password="no"))),
]

WITH_A_CONFIRMATION = [
    State("log-in that needs a confirmation", "sessions/new.html", at("/login"), site="confirming"),
    State(
        "log-in after registering",
        "sessions/new.html",
        sent("/register", email="{email}", password=PASSWORD, password_confirm=PASSWORD),
        site="confirming",
    ),
    State("another confirmation", "confirmations/new.html", at("/confirm"), site="confirming"),
    refused("another for nobody", "confirmations/new.html", sent("/confirm", email=""), site="confirming"),
    State("log-in after asking again", "sessions/new.html", sent("/confirm", email="{email}"), site="confirming"),
    State("confirmation", "confirmations/edit.html", after(signed_up, opened("confirm")), site="confirming"),
    State(
        "confirmation in another browser",
        "confirmations/edit.html",
        after(signed_up, in_another_browser, opened("confirm")),
        site="confirming",
    ),
    refused(
        "confirmation with nothing",
        "confirmations/edit.html",
        after(signed_up, in_another_browser, answered("confirm", **EMPTY)),
        site="confirming",
    ),
    refused(
        "confirmation with a common password",
        "confirmations/edit.html",
        after(signed_up, in_another_browser, answered("confirm", **COMMON)),
        site="confirming",
    ),
    State("log-in after a confirmation", "sessions/new.html", after(signed_up, answered("confirm")), site="confirming"),
    State("confirmation that was used", ERROR, after(signed_up, spent("confirm")), 404, site="confirming"),
]

ERRORS = [
    State("no address", ERROR, at("/%00"), 400),
    State("sent by another site", ERROR, sent_by_another_site, 403),
    State("no such page", ERROR, at("/nowhere"), 404),
    State("no such page for a person", ERROR, person(at("/nowhere")), 404),
    State("another method", ERROR, at("/logout"), 405),
    State("too much", ERROR, sent("/login", email="{email}", password="x" * 70_000), 413),
    State("too long an address", ERROR, at("/" + "x" * 300), 414),
    State("too many tries", ERROR, after(*[sent("/login", email="{email}", password="no")] * 2), 429, site="strict"),
    State("crash", ERROR, person(at("/crash")), 500),
    State("database away", ERROR, sent("/login", email="{email}", password="no"), 503, site="away"),
    State("database away for a person", ERROR, known_but_the_database_is_away, 503, site="away"),
]

STATES = [*OF_A_STRANGER, *WITH_A_LINK, *OF_A_PERSON, *WITH_A_CONFIRMATION, *ERRORS]
# One for each template, the fullest: what is wrong is said in it, too.
ONE_OF_EACH = list({state.template: state for state in sorted(STATES, key=lambda state: state.status == 422)}.values())
