"""The pages of the second factor in every state, for tests/support/page_states.py."""

import base64
import re

from app.features.second_factor import totp
from app.features.second_factor.tests.authenticator import TOTP
from app.lib import clock
from support.actions import PASSWORD
from support.browser_user import BrowserUser
from support.page_states import State, after, at, logged_out, refused, registered, sent, user

PAGE, SHOW = "/account/second-factor", "second_factor/show.html"


async def confirmed(browser_user: BrowserUser) -> None:
    await registered(browser_user)
    await browser_user.post("/account/confirm")
    await browser_user.post(await browser_user.link("confirm"))


async def right_code(browser_user: BrowserUser) -> str:
    shown = await browser_user.page.context.request.get(browser_user.site.url + TOTP)
    found = re.search("<code>([A-Z2-7]{32})</code>", await shown.text())
    assert found
    return totp.code_at(base64.b32decode(found[1]), totp.step_at(clock.now()))


async def enrolled(browser_user: BrowserUser) -> None:
    await confirmed(browser_user)
    await browser_user.post(TOTP, code=await right_code(browser_user))


async def enrolling(browser_user: BrowserUser) -> None:
    await confirmed(browser_user)
    await browser_user.send(TOTP, code=await right_code(browser_user))


waiting = after(enrolled, logged_out, sent("/login", email="{email}", password=PASSWORD))
STATES = [
    State("second factor of an unconfirmed user", SHOW, user(at(PAGE))),
    State("second factor", SHOW, after(confirmed, at(PAGE))),
    State("enrolment", "second_factor/new.html", after(confirmed, at(TOTP))),
    refused("enrolment with a wrong code", "second_factor/new.html", after(confirmed, sent(TOTP, code="12"))),
    State("recovery codes", SHOW, enrolling),
    State("second factor in use", SHOW, after(enrolled, at(PAGE))),
    State("code of a login", "second_factor/login.html", waiting),
    refused("wrong code of a login", "second_factor/login.html", after(waiting, sent("", code="12"))),
    State("password and code again", "reauthentication/new.html", after(enrolled, at("/verify"))),
]
