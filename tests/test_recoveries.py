"""Getting an account back: a forgotten password, and "this was not me"."""

import asyncio
import time
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from quart import Quart, Response
from quart.typing import TestClientProtocol
from sqlalchemy import insert, update

from app.models import User, UserSession, clock, db
from app.models.user import email_key
from app.models.user_token import Purpose
from app.services import accounts
from conftest import serving
from letters_read import follow, letters_of, link, mails
from people import (
    EMAIL,
    PASSWORD,
    change_password,
    cookie_of,
    count,
    create_user,
    execute,
    is_logged_in,
    log_in,
    page,
    register,
    thief_with,
)
from smtp_server import MailServer
from test_mailed_links import (
    NEW_PASSWORD,
    TYPED,
    UNREACHABLE,
    at_once,
    check_refused,
    events,
    mailed_link,
    on_sqlite,
    press,
    said,
    whole_database,
)
from test_sessions import MovedClock, moved_clock

__all__ = ["moved_clock"]  # a fixture

CLOSED, UNSET, UNCONFIRMED = "closed@example.com", "unset@example.com", "unconfirmed@example.com"
OLD_STYLE = ("ada@localhost", "=ada@example.com", "ada")  # accounts of an older installation may be named so
PUBLIC = {"BASE_URL": "https://www.example.com"}
ON_PUBLIC = {"Host": "www.example.com"}


async def ask(client: TestClientProtocol, email: str = EMAIL, **more: Any) -> Response:
    return await client.post("/reset", form={"email": email}, **more)


async def answer_to(app: Quart, email: str) -> object:
    """Return what is said to a stranger who asks for a reset, there and on the page that follows."""
    client = app.test_client()
    answer = await ask(client, email)
    following = await said(await client.get(answer.location))
    return await said(answer), following, {cookie.name for cookie in client.cookie_jar or ()}


async def create_every_kind(app: Quart) -> None:
    """Open accounts of every kind, that of EMAIL the ordinary one."""
    await create_user(app)
    await create_user(app, CLOSED, active=False)
    await create_user(app, UNSET, password=None)
    await create_user(app, UNCONFIRMED)
    await execute(app, update(User).where(User.email != UNCONFIRMED).values(confirmed_on=clock.now()))
    rows = [{"email": email, "email_key": email_key(email), "active": True} for email in OLD_STYLE]
    await execute(app, insert(User).values(rows))


async def disown(app: Quart) -> str:
    """Log in from a new browser and press "this was not me" in the mail; return the link to another password."""
    await log_in(app.test_client())
    assert await follow(app.test_client(), await link(app, "new_log_in", to=EMAIL)) == 303
    return await link(app, "reset", to=EMAIL)


async def test_a_forgotten_password_is_replaced_with_a_mailed_link(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)
    assert 'href="/reset"' in await page(client, "/login")

    asked = await ask(client, " ADA@example.com ")

    assert (asked.status_code, asked.location) == (303, "/login")
    assert "If there is an account with this address, a mail with a link is on its way." in await page(client, "/login")
    path = await link(app, "reset", to=EMAIL)
    assert EMAIL in await page(client, path)
    done = await press(client, path)
    assert (done.status_code, done.location) == (303, "/login")
    assert "Your password is changed" in await page(client, "/login")
    assert not await is_logged_in(client)
    assert (await log_in(client)).status_code == 422
    assert (await log_in(client, password=NEW_PASSWORD)).status_code == 303


@pytest.mark.parametrize("more", [{}, UNREACHABLE, {"SECURITY_CONFIRMABLE": True}])
async def test_asking_is_answered_alike_whoever_has_an_account(settings: dict[str, Any], more: dict[str, Any]) -> None:
    async with serving(settings | more) as app:
        await create_every_kind(app)

        everybody = (EMAIL, "unknown@example.com", CLOSED, UNSET, UNCONFIRMED, *OLD_STYLE, "a b@c", "'; --")
        heard = [await answer_to(app, email) for email in everybody]

        assert heard == [heard[0]] * len(everybody)
        asked = {mail.recipient for mail in await mails(app, "reset")}
        assert asked == {EMAIL, UNSET, UNCONFIRMED, *OLD_STYLE}


@on_sqlite
async def test_an_account_with_an_address_of_an_older_kind_gets_its_link(app: Quart) -> None:
    await create_every_kind(app)

    for email in OLD_STYLE:
        await ask(app.test_client(), email)
        assert await follow(app.test_client(), await link(app, "reset", to=email), **TYPED) == 303
        assert (await log_in(app.test_client(), email=email, password=NEW_PASSWORD)).status_code == 303


@pytest.mark.parametrize("email", ["", "  ", "a" * 255])
@on_sqlite
async def test_asking_without_an_address_is_told(client: TestClientProtocol, email: str) -> None:
    answer = await ask(client, email)

    assert answer.status_code == 422
    assert 'id="email-error"' in await answer.get_data(as_text=True)


@on_sqlite
async def test_a_mail_server_that_hangs_makes_nobody_wait_and_no_difference(settings: dict[str, Any]) -> None:
    server = MailServer()
    server.hang.set()
    with server.running():
        async with serving(settings | server.settings) as app:
            await create_user(app)
            began = time.monotonic()
            heard = [await answer_to(app, email) for email in (EMAIL, "unknown@example.com")]
            took = time.monotonic() - began
            path = await link(app, "reset")
            server.hang.clear()
            await asyncio.to_thread(server.wait_for, 1)
            status = await follow(app.test_client(), path, **TYPED)

    assert heard[0] == heard[1]
    assert took < 3
    assert path in server.messages[0].as_string().replace("=\n", "")
    assert status == 303


async def test_a_reset_ends_every_log_in_and_leaves_other_people_alone(app: Quart) -> None:
    await create_user(app)
    await create_user(app, "bob@example.com")
    browsers, bob = [app.test_client() for _ in range(3)], app.test_client()
    for browser in browsers:
        await log_in(browser, remember="y")
    await log_in(bob, email="bob@example.com")
    thief = thief_with(app, cookie_of(browsers[0]))
    await ask(browsers[0])

    assert await follow(browsers[0], await link(app, "reset"), **TYPED) == 303

    assert not any([await is_logged_in(browser) for browser in (*browsers, thief)])
    assert await is_logged_in(bob)
    assert await count(app, UserSession) == 1


@on_sqlite
async def test_a_reset_is_reported_with_a_way_to_undo_it(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)
    await ask(client)
    await client.post(await link(app, "reset"), form=TYPED, headers={"User-Agent": "Mozilla/5.0 Firefox/140.0"})

    (letter,) = await letters_of(app, "password_changed", to=EMAIL)

    assert "with: Firefox" in letter.text
    assert "/not-me/" in (letter.link or "")
    assert await follow(app.test_client(), await link(app, "password_changed")) == 303
    assert (await log_in(client, password=NEW_PASSWORD)).status_code == 422


@on_sqlite
async def test_a_link_works_for_an_hour(app: Quart, client: TestClientProtocol, moved_clock: MovedClock) -> None:
    await create_user(app)
    await ask(client)
    path = await link(app, "reset")

    moved_clock.forward(timedelta(seconds=3599))
    assert (await client.get(path)).status_code == 200
    moved_clock.forward(timedelta(seconds=1))
    assert (await press(app.test_client(), path)).status_code == 404
    assert (await log_in(client)).status_code == 303


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ({"new_password": "", "new_password_confirm": ""}, "Choose a new password."),
        ({"new_password": "short", "new_password_confirm": "short"}, "Use 8 characters or more."),
        ({"new_password": "12345678", "new_password_confirm": "12345678"}, "one of the most common passwords."),
        ({"new_password": EMAIL, "new_password_confirm": EMAIL}, "Do not use your e-mail address"),
        ({"new_password": NEW_PASSWORD, "new_password_confirm": "other"}, "The two passwords differ."),
        ({"new_password": NEW_PASSWORD}, "Type the new password again."),
    ],
)
@on_sqlite
async def test_a_password_that_is_not_good_changes_nothing_and_the_link_still_works(
    app: Quart, client: TestClientProtocol, typed: dict[str, str], message: str
) -> None:
    await create_user(app)
    await ask(client)
    path = await link(app, "reset")
    before = await whole_database(app)

    answer = await client.post(path, form=typed)

    shown = await answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert message in shown
    assert NEW_PASSWORD not in shown
    assert await whole_database(app) == before
    assert await follow(client, path, **TYPED) == 303


async def test_a_reset_proves_the_address_and_shuts_out_who_opened_the_account(settings: dict[str, Any]) -> None:
    async with serving(settings | {"SECURITY_CONFIRMABLE": True}) as app:
        attacker, owner = app.test_client(), app.test_client()
        await register(attacker, password="the password of an attacker")
        confirmation = await link(app, "confirm")
        await ask(owner)

        assert await follow(owner, await link(app, "reset"), **TYPED) == 303

        assert (await log_in(owner, password=NEW_PASSWORD)).status_code == 303
        assert (await log_in(attacker, password="the password of an attacker")).status_code == 422
        await check_refused(attacker, confirmation)


@on_sqlite
@pytest.mark.parametrize("more", [{"SECURITY_RECOVERABLE": False}, PUBLIC])
async def test_where_nobody_can_get_an_account_back_there_is_no_such_page(
    settings: dict[str, Any], more: dict[str, Any]
) -> None:
    async with serving(settings) as app:
        await create_user(app)
        path = await mailed_link(app, Purpose.RESET)
    async with serving(settings | more) as app:
        client, headers = app.test_client(), ON_PUBLIC if more == PUBLIC else {}
        answers = [await client.get("/reset", headers=headers), await ask(client, headers=headers)]
        answers += [await client.get(path, headers=headers), await client.post(path, form=TYPED, headers=headers)]
        login = await (await client.get("/login", headers=headers)).get_data(as_text=True)

        assert [answer.status_code for answer in answers] == [404] * 4
        assert "/reset" not in login
        assert len(await mails(app, "reset")) == 1


@on_sqlite
async def test_a_public_site_with_a_mail_server_has_the_page(settings: dict[str, Any]) -> None:
    async with serving(settings | PUBLIC | UNREACHABLE) as app:
        client = app.test_client()

        assert (await client.get("/reset", headers=ON_PUBLIC)).status_code == 200
        login = await client.get("/login", headers=ON_PUBLIC)

    assert 'href="/reset"' in await login.get_data(as_text=True)


async def test_this_was_not_me_lets_nobody_in_and_mails_a_link_to_a_password(app: Quart) -> None:
    await create_user(app)
    owner, thief = app.test_client(), app.test_client()
    await log_in(owner)
    await log_in(thief)

    answer = await owner.post(await link(app, "new_log_in", to=EMAIL))

    assert (answer.status_code, answer.location) == (303, "/login")
    assert "the password is void" in await page(owner, "/login")
    assert not any([await is_logged_in(browser) for browser in (owner, thief)])
    assert (await log_in(thief)).status_code == 422
    assert [mail.recipient for mail in await mails(app, "reset")] == [EMAIL]
    assert await follow(owner, await link(app, "reset"), **TYPED) == 303
    assert (await log_in(owner, password=NEW_PASSWORD)).status_code == 303


async def test_this_was_not_me_makes_void_whatever_a_thief_has_asked_for(app: Quart) -> None:
    await create_user(app)
    thief = app.test_client()
    await log_in(thief)
    alarm = await link(app, "new_log_in")
    others = [await mailed_link(app, purpose) for purpose in (Purpose.RESET, Purpose.NOT_ME)]
    moved = await mailed_link(app, Purpose.CHANGE_EMAIL)

    assert await follow(app.test_client(), alarm) == 303

    await check_refused(app.test_client(), alarm, *others)
    assert await follow(app.test_client(), await link(app, "reset"), **TYPED) == 303
    await log_in(owner := app.test_client(), password=NEW_PASSWORD)
    await check_refused(owner, moved)


async def test_this_was_not_me_works_after_a_thief_has_changed_the_password(app: Quart) -> None:
    await create_user(app)
    thief = app.test_client()
    await log_in(thief)
    alarm = await link(app, "new_log_in")
    await change_password(thief)

    assert await follow(app.test_client(), alarm) == 303

    assert not await is_logged_in(thief)
    assert (await log_in(thief, password="another horse battery staple")).status_code == 422


@on_sqlite
async def test_this_was_not_me_is_said_to_one_account_alone(app: Quart) -> None:
    await create_user(app)
    await create_user(app, "bob@example.com")
    await log_in(bob := app.test_client(), email="bob@example.com")
    his = await link(app, "new_log_in", to="bob@example.com")

    await disown(app)

    assert await is_logged_in(bob)
    assert (await bob.get(his)).status_code == 200
    assert (await log_in(app.test_client(), email="bob@example.com")).status_code == 303


async def test_a_void_password_opens_nothing_and_is_refused_like_a_strangers(app: Quart) -> None:
    await create_user(app)
    await disown(app)

    for password in (PASSWORD, "None", "x"):
        refused = await log_in(app.test_client(), password=password)
        stranger = await log_in(app.test_client(), email="eve@example.com", password=password)
        assert refused.status_code == 422
        assert str(await said(refused)).replace(EMAIL, "eve@example.com") == str(await said(stranger))
    assert (await log_in(app.test_client(), password="")).status_code == 422
    assert await count(app, UserSession) == 0


@on_sqlite
async def test_a_void_password_is_not_kept_by_confirming_the_address(settings: dict[str, Any]) -> None:
    async with serving(settings | {"SECURITY_CONFIRMABLE": True}) as app:
        await create_user(app, password=None)
        await app.test_client().post("/confirm", form={"email": EMAIL})
        path = await link(app, "confirm")

        assert (await app.test_client().post(path)).status_code == 422
        assert await follow(app.test_client(), path, **TYPED) == 303
        assert (await log_in(app.test_client(), password=NEW_PASSWORD)).status_code == 303


@on_sqlite
async def test_an_account_that_was_closed_since_is_not_reset(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)
    await ask(client)
    path = await link(app, "reset")
    async with app.app_context():
        await db.write(accounts.deactivate, email=EMAIL)
    before = await whole_database(app)

    await check_refused(app.test_client(), path)

    assert await whole_database(app) == before


async def test_of_two_who_redeem_one_link_the_password_of_the_one_who_wins_counts(app: Quart) -> None:
    await create_user(app)
    await ask(app.test_client())
    path, chosen = await link(app, "reset"), [f"{NEW_PASSWORD} {number}" for number in range(5)]

    forms = [{"new_password": password, "new_password_confirm": password} for password in chosen]
    answers = await asyncio.gather(*(app.test_client().post(path, form=form) for form in forms))

    statuses = [answer.status_code for answer in answers]
    assert Counter(statuses) == {303: 1, 404: 4}
    tried = [(await log_in(app.test_client(), password=password)).status_code for password in chosen]
    assert [status == 303 for status in tried] == [status == 303 for status in statuses]
    assert len(await mails(app, "password_changed")) == 1


async def test_log_ins_that_race_a_reset_do_not_survive_it(app: Quart) -> None:
    await create_user(app)
    await ask(app.test_client())
    path, guests = await link(app, "reset"), [app.test_client() for _ in range(6)]

    reset, *_ = await asyncio.gather(press(app.test_client(), path), *(log_in(guest) for guest in guests))

    assert reset.status_code == 303
    assert not any([await is_logged_in(guest) for guest in guests])
    assert await count(app, UserSession) == 0


async def test_log_ins_that_race_this_was_not_me_do_not_survive_it(app: Quart) -> None:
    await create_user(app)
    await log_in(app.test_client())
    alarm, guests = await link(app, "new_log_in"), [app.test_client() for _ in range(6)]

    async def press_in_the_middle() -> Response:
        await log_in(app.test_client())
        return await app.test_client().post(alarm)

    pressed, *_ = await asyncio.gather(press_in_the_middle(), *(log_in(guest) for guest in guests))

    assert pressed.status_code == 303
    assert not any([await is_logged_in(guest) for guest in guests])
    assert await count(app, UserSession) == 0


async def test_a_change_of_the_password_that_races_a_reset_does_not_win_with_it(app: Quart) -> None:
    await create_user(app)
    await log_in(owner := app.test_client())
    await ask(app.test_client())
    path = await link(app, "reset")

    changed, reset = await asyncio.gather(change_password(owner), press(app.test_client(), path))

    by_change, by_reset = changed.location == "/", reset.status_code == 303
    assert (by_change, by_reset) in ((True, False), (False, True))
    passwords = {"another horse battery staple": by_change, NEW_PASSWORD: by_reset}
    for password, works in passwords.items():
        assert ((await log_in(app.test_client(), password=password)).status_code == 303) is works


async def test_resets_that_are_asked_for_at_once_leave_one_link_that_works(app: Quart) -> None:
    await create_user(app)

    assert await at_once(ask(app.test_client()) for _ in range(10)) == {303: 10}

    assert len(await mails(app, "reset")) == 1
    assert await follow(app.test_client(), await link(app, "reset"), **TYPED) == 303


async def test_no_more_than_three_links_are_mailed_in_ten_minutes_and_nobody_is_told(
    settings: dict[str, Any], moved_clock: MovedClock
) -> None:
    async with serving(settings | {"THROTTLE_MAILS_PER_ACCOUNT": "3 per 10 minutes"}) as app:
        await create_user(app)
        heard, seen = [], []
        for tries in range(5):
            moved_clock.forward(timedelta(minutes=10 if tries == 4 else 0))
            heard.append(await answer_to(app, EMAIL))
            seen.append(await link(app, "reset"))
            assert (await app.test_client().get(seen[-1])).status_code == 200

        assert heard == [heard[0]] * 5
        assert seen[3] == seen[2]
        assert len(set(seen)) == 4
        assert await events(app, "reset_asked") == 4


async def test_strangers_who_ask_at_once_make_no_more_than_three_mails(settings: dict[str, Any]) -> None:
    async with serving(settings | {"THROTTLE_MAILS_PER_ACCOUNT": "3 per 10 minutes"}) as app:
        await create_user(app)
        await create_user(app, "bob@example.com")

        assert await at_once(ask(app.test_client()) for _ in range(8)) == {303: 8}

        assert await events(app, "reset_asked") == 3
        await ask(app.test_client(), "bob@example.com")
        assert await events(app, "reset_asked") == 4


@on_sqlite
async def test_who_asks_too_often_from_one_address_is_told_alike_of_any_account(
    settings: dict[str, Any], moved_clock: MovedClock
) -> None:
    async with serving(settings | {"THROTTLE_MAILS_PER_ADDRESS": "2 per minute"}) as app:
        await create_user(app)
        for email in (EMAIL, "eve@example.com"):
            assert (await ask(app.test_client(), email)).status_code == 303

        refused = [await ask(app.test_client(), email) for email in (EMAIL, "eve@example.com")]

        assert [answer.status_code for answer in refused] == [429, 429]
        assert await said(refused[0]) == await said(refused[1])
        assert await events(app, "reset_asked") == 1
        moved_clock.forward(timedelta(minutes=1))
        assert (await ask(app.test_client())).status_code == 303


@pytest.mark.slow
@on_sqlite
async def test_asking_takes_as_long_whoever_has_an_account(app: Quart) -> None:
    await create_every_kind(app)

    async def seconds(email: str) -> float:
        began = time.monotonic()
        await ask(app.test_client(), email)
        return time.monotonic() - began

    for _ in range(3):  # what others do on this machine passes, and what gives people away does not
        took = await asyncio.gather(*map(seconds, (EMAIL, CLOSED, UNSET, "unknown@example.com")))
        if max(took) - min(took) < 0.1:
            break

    assert max(took) - min(took) < 0.1
    assert min(took) > 0.49
