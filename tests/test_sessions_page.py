"""Where a person is logged in: what the page shows, how log-ins are ended, and who is told of a new browser."""

import asyncio
import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from quart import Quart, Response
from quart.typing import TestClientProtocol
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import User, UserSession, clock, db
from app.services import accounts, sessions
from app.services.activity import Origin
from app.services.sessions import Lifetime, NewLogIn
from app.words import moment_in_words
from letters_read import follow, letters_of, link, mails
from people import EMAIL, PASSWORD, cookie_of, count, create_user, is_logged_in, log_in, page, register, thief_with
from test_sessions import MovedClock, moved_clock

__all__ = ["moved_clock"]  # a fixture

BOB = "bob@example.com"
NEW_PASSWORD = "another horse battery staple"
CHOSEN = {"new_password": NEW_PASSWORD, "new_password_confirm": NEW_PASSWORD}
AS_A_PROGRAM = {"Accept": "application/json"}
A_DAY = Lifetime(timedelta(days=1), timedelta(days=30))
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X)"
IPAD = "Mozilla/5.0 (iPad; CPU OS 18_7 like Mac OS X)"
ANDROID = "Mozilla/5.0 (Linux; Android 10; K)"
KHTML = "(KHTML, like Gecko)"
WEBKIT = f"AppleWebKit/537.36 {KHTML}"
MOBILE = f"AppleWebKit/605.1.15 {KHTML}"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
CHROME = f"{WINDOWS} {WEBKIT} Chrome/142.0.0.0 Safari/537.36"
DEVICES = {
    FIREFOX: "Firefox on Linux",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0": "Firefox on Windows",
    "Mozilla/5.0 (Android 15; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0": "Firefox on Android",
    f"{IPHONE} {MOBILE} FxiOS/145.0 Mobile/15E148 Safari/605.1.15": "Firefox on an iPhone",
    CHROME: "Chrome on Windows",
    f"{MAC} {WEBKIT} Chrome/142.0.0.0 Safari/537.36": "Chrome on a Mac",
    f"{ANDROID} {WEBKIT} Chrome/142.0.0.0 Mobile Safari/537.36": "Chrome on Android",
    f"{IPHONE} {MOBILE} CriOS/142.0.7444.77 Mobile/15E148 Safari/604.1": "Chrome on an iPhone",
    f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {WEBKIT} Chrome/142.0.0.0 Safari/537.36": "Chrome on ChromeOS",
    f"{MAC} {MOBILE} Version/26.0 Safari/605.1.15": "Safari on a Mac",
    f"{IPHONE} {MOBILE} Version/26.0 Mobile/15E148 Safari/604.1": "Safari on an iPhone",
    f"{IPAD} {MOBILE} Version/26.0 Mobile/15E148 Safari/604.1": "Safari on an iPad",
    f"{WINDOWS} {WEBKIT} Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0": "Edge on Windows",
    f"{ANDROID} {WEBKIT} Chrome/142.0.0.0 Mobile Safari/537.36 EdgA/142.0.0.0": "Edge on Android",
    f"{IPHONE} {MOBILE} Version/18.0 EdgiOS/142.0.3595.66 Mobile/15E148 Safari/605.1.15": "Edge on an iPhone",
    f"{WINDOWS} {WEBKIT} Chrome/142.0.0.0 Safari/537.36 OPR/124.0.0.0": "Opera on Windows",
    f"{IPHONE} {MOBILE} Version/18.7 Mobile/15E148 Safari/604.1 OPT/6.2.1": "Opera on an iPhone",
    f"{ANDROID} {WEBKIT} SamsungBrowser/29.0 Chrome/136.0.0.0 Mobile Safari/537.36": "Samsung Internet on Android",
    "curl/8.17.0": "curl",
    "python-httpx/0.28.1": "A browser",
}
HOSTILE = {
    "": "A browser",
    "<script>alert(1)</script>": "A browser",
    f'"><img src=x onerror=alert(1)> {FIREFOX}': "Firefox on Linux",
    "{{7*7}}{% raw %} Chrome/": "Chrome",
    "\xff\xfe\x80 Windows": "A browser on Windows",
    "x" * 5000 + FIREFOX: "A browser",
    f"{FIREFOX} " + "\N{LATIN SMALL LETTER E WITH ACUTE}" * 900: "Firefox on Linux",
    "'; DROP TABLE user_session; --": "A browser",
    "Edg": "A browser",
    "/ / / Android": "A browser on Android",
}
# Of nobody, of no kind, and numbers that are too large for a column.
NO_LOG_INS = ["0", "999999", "-1", "1.5", "%20", "x", str(2**31), str(2**63 - 1), str(2**63), "9" * 40]

on_sqlite = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)


async def enter(
    app: Quart, email: str = EMAIL, *, user_agent: str = FIREFOX, ip: str = "192.0.2.1"
) -> TestClientProtocol:
    """Return a browser that has logged in."""
    client = app.test_client()
    assert (await arrive(client, email, user_agent=user_agent, ip=ip)).status_code == 303
    return client


async def arrive(
    client: TestClientProtocol, email: str = EMAIL, *, user_agent: str = FIREFOX, ip: str = "192.0.2.1", **more: str
) -> Response:
    """Log in with a browser."""
    form = {"email": email, "password": PASSWORD} | more
    headers = {"User-Agent": user_agent}
    return await client.post("/login", form=form, headers=headers, scope_base={"client": (ip, 4711)})


async def add_log_in(app: Quart, user: User, *, user_agent: str = CHROME, ip: str = "198.51.100.7") -> None:
    """Log another browser of a person in."""
    log_in = NewLogIn(Origin(ip, user_agent), A_DAY)
    async with app.app_context():
        await db.write(sessions.start, user_id=user.id, log_in=log_in)


async def shown(client: TestClientProtocol) -> tuple[list[str], list[str]]:
    """Return in words what the page says of this browser, and of the others."""
    text = await page(client, "/sessions")
    here, others = text.split("<h2>This browser</h2>")[1].split("<h2>Other browsers</h2>")
    return rows_in(here), rows_in(others)


def rows_in(part: str) -> list[str]:
    rows = re.findall(r"<li>(.*?)</li>", part, re.DOTALL)
    texts = [re.sub(r"<form.*?</form>", "", row, flags=re.DOTALL) for row in rows]
    return [" ".join(unescape(re.sub(r"<[^>]*>", " ", text)).split()) for text in texts]


async def ways_to_end(client: TestClientProtocol) -> list[str]:
    """Return where the buttons beside the other browsers lead, in the order of the page."""
    return re.findall(r'action="(/sessions/\d+/end)"', await page(client, "/sessions"))


async def log_ins(app: Quart) -> list[UserSession]:
    async def query(session: AsyncSession) -> list[UserSession]:
        return list((await session.scalars(select(UserSession).order_by(UserSession.id))).all())

    async with app.app_context():
        return await db.read(query)


def moment() -> str:
    return " ".join(moment_in_words(clock.now()).split())


# What the page shows


async def test_this_browser_and_the_others_are_told_apart(app: Quart, moved_clock: MovedClock) -> None:
    await create_user(app)
    here = await enter(app, ip="192.0.2.1")
    first = moment()
    moved_clock.forward(timedelta(minutes=5))
    there = await enter(app, user_agent=CHROME, ip="2001:db8::17")
    second = moment()
    moved_clock.forward(timedelta(minutes=5))
    await page(there)
    last = moment()

    assert await shown(here) == (
        [f"Firefox on Linux 192.0.2.1 · since {first} · last seen {first}"],
        [f"Chrome on Windows 2001:db8::17 · since {second} · last seen {last}"],
    )
    assert (await shown(there))[0] == [f"Chrome on Windows 2001:db8::17 · since {second} · last seen {last}"]


async def test_a_person_sees_their_own_log_ins_alone(app: Quart) -> None:
    await create_user(app)
    await create_user(app, BOB)
    here = await enter(app, BOB)
    await enter(app, user_agent=CHROME)

    assert (await shown(here))[1] == []
    assert "You are logged in nowhere else." in await page(here, "/sessions")
    assert "end-others" not in await page(here, "/sessions")


@on_sqlite
async def test_the_browser_seen_last_comes_first(app: Quart, moved_clock: MovedClock) -> None:
    user = await create_user(app)
    for name in ("Firefox/1", "Chrome/1", "Safari/1"):
        await add_log_in(app, user, user_agent=name)
        moved_clock.forward(timedelta(minutes=1))
    here = await enter(app)

    assert [row.split()[0] for row in (await shown(here))[1]] == ["Safari", "Chrome", "Firefox"]


async def test_a_log_in_that_has_expired_is_not_shown(app: Quart, moved_clock: MovedClock) -> None:
    user = await create_user(app)
    await add_log_in(app, user)
    moved_clock.forward(timedelta(days=1) - timedelta(seconds=1))
    here = await enter(app)

    assert len((await shown(here))[1]) == 1
    moved_clock.forward(timedelta(seconds=1))
    assert (await shown(here))[1] == []


@on_sqlite
async def test_devices_are_told_in_words(app: Quart) -> None:
    user = await create_user(app)
    for user_agent in DEVICES:
        await add_log_in(app, user, user_agent=user_agent, ip="")
    here = await enter(app)

    told = [row.split(" since ")[0] for row in (await shown(here))[1]]

    assert dict(zip(DEVICES, reversed(told), strict=True)) == DEVICES


async def test_a_browser_may_call_itself_anything_and_only_our_words_are_shown(app: Quart) -> None:
    await create_user(app)
    browsers = [await enter(app, user_agent=user_agent) for user_agent in HOSTILE]

    told = [(await shown(browser))[0][0].split(" 192.0.2.1 ")[0] for browser in browsers]

    assert dict(zip(HOSTILE, told, strict=True)) == HOSTILE
    for path in ("/sessions", "/account/activity"):
        text = await page(browsers[0], path)
        assert not any(part in text for part in ("<script>alert", "<img src=x", "{{7*7}}", "49{%", "DROP TABLE"))
    assert {part for letter in await letters_of(app) for part in ("<script>", "<img") if part in letter.html} == set()


async def test_no_browser_passes_for_our_command_line(app: Quart) -> None:
    await create_user(app)
    browser = await enter(app, user_agent="command line")

    (letter,) = await letters_of(app, "new_log_in")

    assert "command line" not in (await shown(browser))[0][0].lower()
    assert "command line" not in (await page(browser, "/account/activity")).lower()
    assert "command line" not in letter.text.lower()


@on_sqlite
async def test_the_buttons_say_which_browser_they_are_for(app: Quart, moved_clock: MovedClock) -> None:
    user = await create_user(app)
    await add_log_in(app, user)
    here = await enter(app)

    label = f"Log it out: Chrome on Windows, last seen {moment_in_words(clock.now())}"
    assert f'aria-label="{label}"' in await page(here, "/sessions")


# Ending log-ins


async def test_a_browser_that_is_logged_out_from_elsewhere_is_out_at_its_next_request(app: Quart) -> None:
    await create_user(app)
    there, third, here = await enter(app), await enter(app), await enter(app)
    (first, last) = await ways_to_end(here)

    answer = await here.post(last)  # the one seen last comes first

    assert (answer.status_code, answer.location) == (303, "/sessions")
    assert "The other browser is logged out." in await page(here, "/sessions")
    assert [await is_logged_in(browser) for browser in (there, third, here)] == [False, True, True]
    assert await ways_to_end(here) == [first]
    assert "Another browser was logged out" in await page(here, "/account/activity")


async def test_all_other_browsers_are_logged_out_at_once(app: Quart) -> None:
    await create_user(app)
    others = [await enter(app) for _ in range(3)]
    here = await enter(app)
    before = cookie_of(here)

    answer = await here.post("/sessions/end-others")

    assert (answer.status_code, answer.location) == (303, "/sessions")
    assert "All other browsers are logged out." in await page(here, "/sessions")
    assert not any([await is_logged_in(browser) for browser in others])
    assert await is_logged_in(here)
    assert cookie_of(here) == before
    assert "All other browsers were logged out" in await page(here, "/account/activity")


async def test_nobody_ends_the_log_in_of_another_person(app: Quart) -> None:
    await create_user(app)
    await create_user(app, BOB)
    ada, elsewhere = await enter(app), await enter(app)
    bob = await enter(app, BOB)

    for row in await log_ins(app):
        if row.user_id != (await log_ins(app))[-1].user_id:
            assert (await bob.post(f"/sessions/{row.id}/end")).status_code == 303
    await bob.post("/sessions/end-others")

    assert all([await is_logged_in(browser) for browser in (ada, elsewhere, bob)])
    assert not re.search("(was|were) logged out", await page(ada, "/account/activity"))
    assert "Another browser was logged out" not in await page(bob, "/account/activity")


@pytest.mark.parametrize("headers", [{}, AS_A_PROGRAM])
async def test_a_stranger_ends_nothing(app: Quart, client: TestClientProtocol, headers: dict[str, str]) -> None:
    await create_user(app)
    ada = await enter(app)
    (row,) = await log_ins(app)

    answers = [await client.get("/sessions", headers=headers)]
    answers += [await client.post(f"/sessions/{end}", headers=headers) for end in (f"{row.id}/end", "end-others")]

    assert {answer.status_code for answer in answers} == ({401} if headers else {303})
    if not headers:
        assert {str(answer.location).split("?")[0] for answer in answers} == {"/login"}
    assert await is_logged_in(ada)


async def test_a_program_that_is_logged_in_ends_a_log_in_and_none_of_another_person(app: Quart) -> None:
    await create_user(app)
    await create_user(app, BOB)
    bob, there, here = await enter(app, BOB), await enter(app), await enter(app)
    his, *_ = await log_ins(app)

    for path in (*await ways_to_end(here), f"/sessions/{his.id}/end"):
        assert (await here.post(path, json={}, headers=AS_A_PROGRAM)).status_code == 303
    assert (await here.post("/sessions/end-others", json=[1], headers=AS_A_PROGRAM)).status_code == 303

    assert [await is_logged_in(browser) for browser in (bob, there, here)] == [True, False, True]


async def test_what_is_no_log_in_ends_nothing_and_breaks_nothing(app: Quart) -> None:
    await create_user(app)
    here = await enter(app)

    for number in NO_LOG_INS:
        assert (await here.post(f"/sessions/{number}/end")).status_code in (303, 404), number

    assert await is_logged_in(here)
    assert "Another browser was logged out" not in await page(here, "/account/activity")


async def test_ending_this_browser_logs_it_out(app: Quart) -> None:
    await create_user(app)
    here, there = await enter(app), await enter(app)

    await here.post((await ways_to_end(there))[0])

    assert (await here.get("/sessions")).location == "/login?next=/sessions"
    assert await is_logged_in(there)


@on_sqlite
async def test_only_a_button_of_ours_ends_a_log_in(app: Quart) -> None:
    await create_user(app)
    there, here = await enter(app), await enter(app)
    paths = [*await ways_to_end(here), "/sessions/end-others"]

    opened = {(await here.get(path)).status_code for path in paths}
    forged = {(await here.post(path, headers={"Sec-Fetch-Site": "cross-site"})).status_code for path in paths}

    assert (opened, forged) == ({405}, {403})
    assert await is_logged_in(there)


async def test_two_browsers_that_log_each_other_out_at_once_are_not_both_left(app: Quart) -> None:
    await create_user(app)
    one, other = await enter(app), await enter(app)

    answers = await asyncio.gather(one.post("/sessions/end-others"), other.post("/sessions/end-others"))

    assert {answer.status_code for answer in answers} == {303}
    assert await count(app, UserSession) <= 1


async def test_one_log_in_that_is_ended_many_times_at_once_is_told_of_once(app: Quart) -> None:
    await create_user(app)
    await enter(app)
    here = await enter(app)
    (path,) = await ways_to_end(here)

    answers = await asyncio.gather(*(thief_with(app, cookie_of(here)).post(path) for _ in range(5)))

    assert {answer.status_code for answer in answers} == {303}
    assert (await page(here, "/account/activity")).count("Another browser was logged out") == 1


async def test_a_visit_that_races_its_end_does_not_bring_a_log_in_back(app: Quart, moved_clock: MovedClock) -> None:
    await create_user(app)
    there, here = await enter(app), await enter(app)
    (path,) = await ways_to_end(here)
    moved_clock.forward(timedelta(minutes=2))  # so the visit would be written down

    await asyncio.gather(*(page(thief_with(app, cookie_of(there))) for _ in range(4)), here.post(path))

    assert not await is_logged_in(there)
    assert await count(app, UserSession) == 1


# A log-in from a browser that was not seen before


async def test_a_log_in_from_an_unknown_browser_is_told_to_the_owner(app: Quart, moved_clock: MovedClock) -> None:
    await create_user(app)
    await enter(app, user_agent=CHROME, ip="198.51.100.7")

    assert [mail.recipient for mail in await mails(app)] == [EMAIL]
    (letter,) = await letters_of(app, "new_log_in")
    assert f"on {moment_in_words(clock.now())}, from 198.51.100.7, with: Chrome on Windows." in letter.text
    assert "/not-me/" in str(letter.link)


async def test_a_log_in_from_a_known_browser_is_told_to_nobody(app: Quart) -> None:
    await create_user(app)
    client = await enter(app)
    assert len(await mails(app)) == 1

    for typed in ({"email": EMAIL}, {"email": "  ADA@Example.com"}, {"email": EMAIL, "remember": "y"}):
        await client.post("/logout")
        assert (await arrive(client, user_agent=CHROME, ip="203.0.113.9", **typed)).status_code == 303

    assert len(await mails(app)) == 1


async def test_the_browser_in_which_an_account_was_opened_is_known(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    await client.post("/logout")

    assert (await log_in(client)).status_code == 303

    assert not await mails(app, "new_log_in")


@on_sqlite
async def test_a_browser_that_is_known_to_one_account_is_not_to_another(app: Quart) -> None:
    await create_user(app)
    await create_user(app, BOB)
    client = await enter(app)

    await arrive(client, BOB)
    await arrive(client, EMAIL)

    assert [mail.recipient for mail in await mails(app, "new_log_in")] == [EMAIL, BOB]


@on_sqlite
async def test_a_device_cookie_that_is_none_of_ours_makes_no_browser_known(app: Quart) -> None:
    await create_user(app)
    cookie = next(cookie for cookie in (await enter(app)).cookie_jar or () if cookie.name == "device")
    token = str(cookie.value)
    wrong = ["", "~", ".", token[:-1], token[1:], "x" + token, token.partition(".")[0], "~~~~~~" + token[:-1], "\x7f"]

    for value in wrong:
        client = app.test_client()
        client.set_cookie("localhost", "device", value)
        assert (await arrive(client)).status_code == 303

    assert len(await mails(app, "new_log_in")) == 1 + len(wrong)


@on_sqlite
async def test_a_wrong_password_is_told_to_nobody_and_makes_no_browser_known(app: Quart) -> None:
    await create_user(app)
    client = app.test_client()

    assert (await log_in(client, password="wrong horse")).status_code == 422
    assert not await mails(app)
    await log_in(client)

    assert len(await mails(app, "new_log_in")) == 1


async def test_each_of_many_unknown_browsers_at_once_is_told_of(app: Quart) -> None:
    await create_user(app)

    answers = await asyncio.gather(*(log_in(app.test_client()) for _ in range(5)))

    assert {answer.status_code for answer in answers} == {303}
    links = {letter.link for letter in await letters_of(app, "new_log_in")}
    assert len(links) == 5


async def test_this_was_not_me_lets_nobody_in_but_the_reader_of_the_mail(app: Quart) -> None:
    await create_user(app)
    thief, other, owner = await enter(app), await enter(app), app.test_client()
    path = await link(app, "new_log_in")

    assert EMAIL in await page(owner, path)
    assert await is_logged_in(thief)  # opening changes nothing
    assert await follow(owner, path) == 303

    assert "Every browser is logged out and the password is void." in await page(owner, "/login")
    assert not any([await is_logged_in(browser) for browser in (thief, other, owner)])
    assert (await arrive(thief)).status_code == 422
    assert await follow(owner, await link(app, "reset", to=EMAIL), **CHOSEN) == 303
    assert (await arrive(owner, password=NEW_PASSWORD)).status_code == 303


async def test_this_was_not_me_works_without_a_log_in_and_ends_none_of_another_person(app: Quart) -> None:
    await create_user(app)
    await create_user(app, BOB)
    bob = await enter(app, BOB)
    await enter(app)

    assert await follow(bob, await link(app, "new_log_in", to=EMAIL)) == 303

    assert await is_logged_in(bob)
    assert await count(app, UserSession) == 1
    assert [mail.recipient for mail in await mails(app, "reset")] == [EMAIL]


async def test_log_ins_that_race_this_was_not_me_do_not_survive_it(app: Quart) -> None:
    await create_user(app)
    await enter(app)
    path = await link(app, "new_log_in")
    thieves = [app.test_client() for _ in range(6)]

    answer, *_ = await asyncio.gather(app.test_client().post(path), *(log_in(thief) for thief in thieves))

    assert answer.status_code == 303
    assert not any([await is_logged_in(thief) for thief in thieves])
    assert await count(app, UserSession) == 0


@on_sqlite
async def test_a_closed_account_is_told_nothing(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)
    await enter(app)
    path = await link(app, "new_log_in")
    async with app.app_context():
        await db.write(accounts.deactivate, email=EMAIL)

    assert (await log_in(client)).status_code == 422

    assert len(await mails(app)) == 1
    assert await follow(client, path) == 404


@on_sqlite
async def test_a_notice_does_not_leave_without_its_log_in(app: Quart, monkeypatch: pytest.MonkeyPatch) -> None:
    await create_user(app)

    async def fails(*_: Any, **__: Any) -> str:
        raise RuntimeError

    monkeypatch.setattr(sessions, "start", fails)
    assert (await log_in(app.test_client())).status_code == 500

    assert not await mails(app)
