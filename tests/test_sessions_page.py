"""The page of active sessions: what it shows, how a session is ended, and the security alert about a new browser."""

import json
import re
from datetime import timedelta
from html import unescape
from pathlib import Path

from quart import Quart, Response
from quart.typing import TestClientProtocol
from sqlalchemy import select

from app.lib import clock
from app.lib.i18n.formatting import format_datetime
from app.models import User, UserEvent, UserSession
from app.services import sessions
from app.services.client import Client, NewSession
from support.actions import EMAIL, PASSWORD, count, create_user, is_logged_in, log_in, page, register, scalars, write
from support.app import both_databases
from support.frozen_clock import FrozenClock
from support.mail_helpers import mails, rendered_emails
from support.user_agents import FIREFOX

BOB = "bob@example.com"
NAMES = json.loads((Path(__file__).parent / "vectors/user_agents.json").read_text())
CHROME = next(user_agent for user_agent, name in NAMES.items() if name == "Chrome on Windows")
SCRIPT = "<script>alert(1)</script>"
HOSTILE = {
    "": "Unknown browser",
    SCRIPT: "Unknown browser",
    f'"><img src=x onerror=alert(1)> {FIREFOX}': "Firefox on Linux",
    "{{7*7}}{% raw %} Chrome/": "Chrome",
    "\xff\xfe\x80 Windows": "Unknown browser on Windows",
    "x" * 5000 + FIREFOX: "Unknown browser",
    "'; DROP TABLE user_session; --": "Unknown browser",
}
# No session has such an id, or no id can be this text.
NO_SESSIONS = ["0", "999999", "-1", "1.5", "%20", "x", str(2**31), str(2**63 - 1), str(2**63), "9" * 40]


async def log_in_from(
    client: TestClientProtocol, email: str = EMAIL, *, user_agent: str = FIREFOX, ip: str = "192.0.2.1", **more: str
) -> Response:
    form, headers = {"email": email, "password": PASSWORD} | more, {"User-Agent": user_agent}
    return await client.post("/login", form=form, headers=headers, scope_base={"client": (ip, 4711)})


async def enter_from(app: Quart, email: str = EMAIL, **origin: str) -> TestClientProtocol:
    """Return a browser that has logged in with a user agent and an IP address."""
    client = app.test_client()
    assert (await log_in_from(client, email, **origin)).status_code == 303
    return client


async def add_session(app: Quart, user: User, user_agent: str) -> None:
    await write(app, sessions.start, user_id=user.id, new=NewSession(Client("", user_agent)))


async def shown(client: TestClientProtocol) -> tuple[list[str], list[str]]:
    """Return the text of this session and of the others."""
    text = await page(client, "/sessions")
    here, others = text.split("<h2>This browser</h2>")[1].split("<h2>Other sessions</h2>")
    return rows_in(here), rows_in(others)


def rows_in(part: str) -> list[str]:
    rows = re.findall(r"<li>(.*?)</li>", part, re.DOTALL)
    texts = [re.sub(r"<form.*?</form>", "", row, flags=re.DOTALL) for row in rows]
    return [" ".join(unescape(re.sub(r"<[^>]*>", " ", text)).split()) for text in texts]


async def paths_to_end(client: TestClientProtocol) -> list[str]:
    """Return the paths of the buttons of the other sessions, in the order of the page."""
    return re.findall(r'action="(/sessions/\d+/end)"', await page(client, "/sessions"))


def now_as_text() -> str:
    return " ".join(format_datetime(clock.now()).split())


@both_databases
async def test_the_page_shows_this_session_and_the_others(app: Quart, frozen_clock: FrozenClock) -> None:
    await create_user(app)
    await create_user(app, BOB)
    await enter_from(app, BOB, user_agent=CHROME)
    here = await enter_from(app, ip="192.0.2.1")
    assert "There are no other sessions." in await page(here, "/sessions")
    first = now_as_text()
    frozen_clock.forward(timedelta(minutes=5))
    there = await enter_from(app, user_agent=CHROME, ip="2001:db8::17")
    second = now_as_text()
    frozen_clock.forward(timedelta(minutes=5))
    await page(there)

    assert await shown(here) == (
        [f"Firefox on Linux 192.0.2.1 · since {first} · last active {first}"],
        [f"Chrome on Windows 2001:db8::17 · since {second} · last active {now_as_text()}"],
    )
    label = f"End session: Chrome on Windows, last active {format_datetime(clock.now())}"
    assert f'aria-label="{label}"' in await page(here, "/sessions")


async def test_the_session_seen_last_is_the_first_and_an_expired_one_is_not_shown(
    app: Quart, frozen_clock: FrozenClock
) -> None:
    user = await create_user(app)
    for name in ("Firefox/1", "Chrome/1", "Safari/1"):
        await add_session(app, user, name)
        frozen_clock.forward(timedelta(minutes=1))

    frozen_clock.forward(timedelta(days=1, minutes=-3, seconds=-1))
    here = await enter_from(app)
    assert [row.split()[0] for row in (await shown(here))[1]] == ["Safari", "Chrome", "Firefox"]
    frozen_clock.forward(timedelta(seconds=1))
    assert [row.split()[0] for row in (await shown(here))[1]] == ["Safari", "Chrome"]


async def test_browsers_and_systems_are_named_and_hostile_text_is_never_shown(app: Quart) -> None:
    user = await create_user(app)
    expected = NAMES | HOSTILE
    for user_agent in expected:
        await add_session(app, user, user_agent)
    here = await enter_from(app, user_agent=f"{SCRIPT} Firefox/1")

    names = [row.split(" since ")[0] for row in (await shown(here))[1]]

    assert dict(zip(expected, reversed(names), strict=True)) == expected
    texts = [await page(here, path) for path in ("/sessions", "/account/activity")]
    texts += [message.html for message in await rendered_emails(app)]
    assert not [text for text in texts if "<script>alert" in text or "DROP TABLE" in text]


@both_databases
async def test_a_user_ends_one_session_or_all_others_at_once(app: Quart) -> None:
    await create_user(app)
    browsers = [await enter_from(app) for _ in range(4)]
    here = browsers[-1]
    oldest = (await paths_to_end(here))[-1]

    response = await here.post(oldest)

    assert (response.status_code, response.location) == (303, "/sessions")
    assert "The session was ended." in await page(here, "/sessions")
    assert [await is_logged_in(browser) for browser in browsers] == [False, True, True, True]
    assert oldest not in await paths_to_end(here)

    response = await here.post("/sessions/end-others")

    assert (response.status_code, response.location) == (303, "/sessions")
    assert "All other sessions were ended." in await page(here, "/sessions")
    assert [await is_logged_in(browser) for browser in browsers] == [False, False, False, True]


async def test_a_user_cannot_end_the_session_of_another_user(app: Quart) -> None:
    await create_user(app)
    await create_user(app, BOB)
    ada, elsewhere = await enter_from(app), await enter_from(app)
    of_ada = await scalars(app, select(UserSession.id))
    bob = await enter_from(app, BOB)

    for headers in ({}, {"Accept": "application/json"}):
        for session_id in of_ada:
            assert (await bob.post(f"/sessions/{session_id}/end", headers=headers)).status_code == 303
        await bob.post("/sessions/end-others", headers=headers)
    statuses = {(await bob.post(f"/sessions/{text}/end")).status_code for text in NO_SESSIONS}

    assert statuses <= {303, 404}
    assert all([await is_logged_in(browser) for browser in (ada, elsewhere, bob)])
    assert not await count(app, UserEvent, UserEvent.event == "session_ended")


@both_databases
async def test_a_login_from_a_new_browser_sends_a_security_alert(app: Quart, frozen_clock: FrozenClock) -> None:
    await create_user(app)
    await enter_from(app, user_agent=CHROME, ip="198.51.100.7")

    assert [mail.recipient for mail in await mails(app)] == [EMAIL]
    (message,) = await rendered_emails(app, "new_login")
    assert f"on {format_datetime(clock.now())} (Chrome on Windows, IP address 198.51.100.7)." in message.text
    assert "/not-me/" in str(message.link)


async def test_a_login_in_a_trusted_device_sends_no_security_alert(app: Quart) -> None:
    await create_user(app)
    client, registered = await enter_from(app), app.test_client()
    await register(registered, email=BOB)

    for typed in ({"email": EMAIL}, {"email": "  ADA@Example.com"}, {"email": EMAIL, "remember": "y"}):
        await client.post("/logout")
        assert (await log_in_from(client, user_agent=CHROME, ip="203.0.113.9", **typed)).status_code == 303
    assert (await log_in_from(registered, BOB)).status_code == 303

    assert [mail.recipient for mail in await mails(app, "new_login")] == [EMAIL]
    await log_in_from(client, BOB)  # a browser is trusted for its own accounts alone
    wrong = app.test_client()
    await log_in(wrong, password="wrong horse")
    await log_in_from(wrong)
    assert [mail.recipient for mail in await mails(app, "new_login")] == [EMAIL, BOB, EMAIL]
