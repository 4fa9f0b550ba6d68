"""The account page: the name of a user, and the audit log of the account."""

import re
from datetime import timedelta
from html import unescape

from quart import Quart, Response
from quart.typing import TestClientProtocol
from sqlalchemy import insert, select

from app.lib import clock
from app.lib.i18n.formatting import format_datetime
from app.models import UserEvent, UserSession
from app.services import credentials, roles, users
from app.views.labels import EVENTS
from support.account_page import stored_name, value_in
from support.actions import (
    EMAIL,
    PASSWORD,
    change_password,
    enter,
    error_beside,
    execute,
    log_in,
    page,
    register,
    scalars,
    write,
)
from support.app import IS_STARTER, both_databases
from support.email_links import TYPED
from support.frozen_clock import FrozenClock
from support.mail_helpers import follow, link
from support.user_agents import FIREFOX

BOB = "bob@example.com"
SCRIPT = "<script>alert(1)</script>"
UNUSABLE = "This name contains a character that cannot be used."
REFUSED_NAMES = {
    "Ada\nLovelace": UNUSABLE,
    "Ada\N{NO-BREAK SPACE}Lovelace": UNUSABLE,
    "\N{RIGHT-TO-LEFT OVERRIDE}adA": UNUSABLE,
    "x" * 101: "This name is too long.",
}
BLANKS = ["", "   ", "\t", "\r\n", "\N{NO-BREAK SPACE}", "\N{IDEOGRAPHIC SPACE}", " \N{EM SPACE} "]


async def save(client: TestClientProtocol, **typed: str) -> Response:
    """Send the form of the account page."""
    return await client.post("/account", form={"name": ""} | typed)


async def activity(client: TestClientProtocol) -> list[str]:
    """Return the text of each event of /account/activity."""
    listed = re.findall(r"<li>\s*<strong>.*?</li>", await page(client, "/account/activity"), re.DOTALL)
    return [" ".join(unescape(re.sub(r"<[^>]*>", " ", line)).split()) for line in listed]


async def events_shown(client: TestClientProtocol) -> list[str]:
    """Return the names of the events of /account/activity, the newest first."""
    names = {str(words): name for name, words in EVENTS.items()}
    return [names[re.split(r" \w{3} \d+, \d{4}", line)[0]] for line in await activity(client)]


@both_databases
async def test_a_user_saves_a_name_and_empties_it_again(app: Quart, client: TestClientProtocol) -> None:
    await register(client)

    response = await save(client, name="  Ada Lovelace ")

    assert (response.status_code, response.location) == (303, "/account")
    assert "Saved." in await page(client, "/account")
    assert await value_in(client, "name") == "Ada Lovelace"
    assert f"Ada Lovelace &lt;{EMAIL}&gt;" in await page(client)
    for blank in BLANKS:
        await save(client, name="Ada")
        assert await stored_name(app) == "Ada"
        await save(client, name=blank)
        assert await stored_name(app) is None, repr(blank)
    await save(client, name="Ada")
    await client.post("/account")  # a field that is not sent counts as empty
    assert await value_in(client, "name") == ""


@both_databases
async def test_a_name_is_any_printable_text_and_shown_as_it_is(app: Quart, client: TestClientProtocol) -> None:
    await register(client)

    for name in ("Zoë O’Neill-Łukasz", "李小龍", "محمد", "🦊", "🦊" * 100, f"{SCRIPT}\"'>{{{{ 7*7 }}}}"):
        assert (await save(client, name=name)).status_code == 303
        assert (await stored_name(app), await value_in(client, "name")) == (name, name)


async def test_an_unsuitable_name_is_refused_beside_its_field(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    await save(client, name="Ada")

    names = {name: await error_beside(await save(client, name=name), "name") for name in REFUSED_NAMES}

    assert names == REFUSED_NAMES
    assert await stored_name(app) == "Ada"


async def test_the_account_page_links_to_everything_about_the_account(client: TestClientProtocol) -> None:
    await register(client)

    links = re.findall(r'href="(/[^"]*)"', await page(client, "/account"))

    assert {"/change-email", "/change", "/sessions", "/account/activity", "/account/delete"} <= set(links)
    assert {(await client.get(path)).status_code for path in links} == {200}


async def test_an_event_is_shown_with_its_time_its_browser_and_its_ip_address(
    client: TestClientProtocol, frozen_clock: FrozenClock
) -> None:
    await register(client)
    frozen_clock.forward(timedelta(minutes=5))
    form, headers = {"email": EMAIL, "password": PASSWORD}, {"User-Agent": FIREFOX}
    await client.post("/login", form=form, headers=headers, scope_base={"client": ("192.0.2.7", 4711)})

    newest, oldest = await activity(client)

    at = " ".join(format_datetime(clock.now()).split())
    assert newest == f"{EVENTS['logged_in']} {at} · Firefox on Linux · 192.0.2.7"
    assert oldest.startswith(EVENTS["registered"])
    assert f'datetime="{clock.now().isoformat()}"' in await page(client, "/account/activity")


@both_databases
async def test_older_events_are_on_the_next_pages(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    for _ in range(100):
        await write(app, users.deactivate, email=EMAIL)
    await write(app, users.activate, email=EMAIL)
    client = await enter(app)

    newest, older = await page(client, "/account/activity"), await page(client, "/account/activity?page=2")

    assert (newest.count("datetime="), newest.count(EVENTS["registered"])) == (100, 0)
    assert 'href="/account/activity?page=2">Older</a>' in newest
    assert (older.count(EVENTS["registered"]), ">Older</a>" in older) == (1, False)
    assert 'href="/account/activity?page=1">Newer</a>' in older


async def test_a_user_sees_the_events_of_their_own_account_alone(app: Quart, client: TestClientProtocol) -> None:
    bob = app.test_client()
    await register(client)
    await register(bob, email=BOB)
    await save(bob, name="Bob")  # which is no event
    await log_in(app.test_client(), email=BOB, password="wrong horse")
    await change_password(bob)

    assert await events_shown(client) == ["registered"]
    assert await events_shown(bob) == ["password_changed", "registered"]


async def test_the_newest_hundred_events_are_shown_as_text_the_newest_first(
    app: Quart, client: TestClientProtocol, frozen_clock: FrozenClock
) -> None:
    await register(client)
    (user_id,), now = await scalars(app, select(UserEvent.user_id)), clock.now()
    row = {"user_id": user_id, "ip": "<b>", "user_agent": f"{SCRIPT} Firefox/1", "created_on": now, "expires_on": now}
    await execute(app, insert(UserEvent).values([row | {"event": f"{SCRIPT} {number}"} for number in range(120)]))

    assert [line.split()[1] for line in await activity(client)] == [str(number) for number in range(119, 19, -1)]
    shown = await page(client, "/account/activity")
    assert not [tag for tag in ("<script>alert", "<b>") if tag in shown]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "&lt;b&gt;" in shown


async def test_every_event_has_a_label_and_none_is_changed_later(app: Quart, client: TestClientProtocol) -> None:
    await cause_every_event(app, client)
    rows = select(UserEvent.event + UserEvent.ip + UserEvent.user_agent).order_by(UserEvent.id)
    before = await scalars(app, rows)

    await change_password(client)

    assert (await scalars(app, rows))[: len(before)] == before
    assert set(await events_shown(client)) == CAUSED
    assert not IS_STARTER or set(EVENTS) - {"phone_changed"} == CAUSED
    assert len(set(EVENTS.values())) == len(EVENTS)


CAUSED = {
    *("registered", "email_confirmed", "logged_in", "reauthenticated", "password_changed", "password_reset"),
    *("password_reset_requested", "email_change_requested", "email_changed", "email_change_reverted"),
    *("compromise_reported", "session_ended", "other_sessions_ended", "sessions_ended", "activated", "deactivated"),
    *("role_added", "role_removed"),
}


async def cause_every_event(app: Quart, client: TestClientProtocol) -> None:
    """Cause each event of an account, and log in to it at the end."""
    new = "new-ada@example.com"
    await register(client)
    await write(app, users.confirm, email=EMAIL)
    await enter(app)
    newest = max(await scalars(app, select(UserSession.id)))
    await client.post(f"/sessions/{newest}/end")
    await enter(app)
    await client.post("/sessions/end-others")
    await client.post("/verify", form={"password": PASSWORD})
    await client.post("/change-email", form={"email": new})
    await follow(client, await link(app, "change_email"))
    await write(app, roles.create, name="admin")
    for act in (roles.add_to_user, roles.remove_from_user):
        await write(app, act, email=new, role_name="admin")
    for command in (credentials.end_sessions, users.deactivate, users.activate):
        await write(app, command, email=new)
    await follow(client, await link(app, "email_changed"))
    await client.post("/reset", form={"email": EMAIL})
    await follow(client, await link(app, "reset"), **TYPED)
    await follow(client, await link(app, "password_changed"))
    await follow(client, await link(app, "reset"), **dict.fromkeys(TYPED, PASSWORD))
    assert (await log_in(client)).status_code == 303
