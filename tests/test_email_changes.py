"""Another address for an account: who may take one, what it changes, and how the former one takes it back."""

import asyncio
import functools
import re
from collections import Counter
from collections.abc import Awaitable, Iterable
from datetime import timedelta
from typing import Any

import pytest
from quart import Quart, Response
from quart.typing import TestClientProtocol
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import User, UserEvent, UserSession, UserToken, clock, db
from app.models.user_token import Purpose
from app.services import accounts
from app.services.passwords import PasswordHasher
from app.words import moment_in_words
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
from test_sessions import MovedClock, moved_clock

__all__ = ["moved_clock"]  # a fixture

NEW = "lovelace@example.com"
THIRD = "countess@example.com"
BOB = "bob@example.com"
NEW_PASSWORD = "another horse battery staple"
CHOSEN = {"new_password": NEW_PASSWORD, "new_password_confirm": NEW_PASSWORD}
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
WEEK = timedelta(days=7)
SECOND = timedelta(seconds=1)
REFUSED = "Enter an e-mail address like name@example.com."
NO_ADDRESSES = [
    ("", "Enter your e-mail address."),
    ("   ", "Enter your e-mail address."),
    ("a" * 64 + "@" + "b" * 185 + ".com", REFUSED),
    ("a" * 243 + "@example.com", "This address is too long."),
    ("lovelace", REFUSED),
    ("@example.com", REFUSED),
    ("lovelace@", REFUSED),
    ("lovelace@localhost", REFUSED),
    ("lovelace@[192.0.2.1]", REFUSED),
    ("love lace@example.com", REFUSED),
    ('"love lace"@example.com', REFUSED),
    ("Ada <lovelace@example.com>", REFUSED),
    ("lovelace@example.com,thief@example.com", REFUSED),
    ("lovelace@example.com\r\nBcc: thief@example.com", REFUSED),
    ("lovelace@example.com\n", REFUSED),
    ("lovelace@example.com\0", REFUSED),
    ("lovelace@example.com\0.evil.example", REFUSED),
    ("<script>alert(1)</script>@example.com", REFUSED),
    ("{{7*7}}@example.com", REFUSED),
    ("l\N{CYRILLIC SMALL LETTER O}velace@example.com", REFUSED),
    ("lovelace@example\N{FULLWIDTH COMMERCIAL AT}.com", REFUSED),
]

on_sqlite = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)


@functools.cache
def hashed() -> str:
    """Return the hash of everybody's password, made once."""
    return PasswordHasher().hash(PASSWORD)


async def join(app: Quart, email: str = EMAIL) -> TestClientProtocol:
    """Return the browser of a person who has an account and is logged in."""
    async with app.app_context():
        await db.write(accounts.register, email=email, password_hash=hashed())
    client = app.test_client()
    assert (await log_in(client, email=email)).status_code == 303
    return client


async def ask(client: TestClientProtocol, email: str) -> Response:
    return await client.post("/change-email", form={"email": email})


async def asked_link(app: Quart, client: TestClientProtocol, email: str) -> str:
    """Ask for a change, and return the link that was mailed."""
    assert (await ask(client, email)).status_code == 303
    return await link(app, "change_email", to=email)


async def change(app: Quart, client: TestClientProtocol, email: str) -> int:
    """Change the address of an account, and return the status of the last answer."""
    return await follow(client, await asked_link(app, client, email))


async def moved_away(app: Quart, *, to: str = NEW) -> tuple[TestClientProtocol, str]:
    """Have an account moved to another address; return the browser and the way back."""
    client = await join(app)
    assert await change(app, client, to) == 303
    return client, await link(app, "email_changed", to=EMAIL)


async def paths_in(app: Quart, template: str) -> list[str]:
    """Return where the links in all mails of a kind lead."""
    found = [letter.link for letter in await letters_of(app, template) if letter.link]
    return [re.sub(r"^https?://[^/]+", "", address) for address in found]


async def addresses(app: Quart) -> list[str]:
    async def query(session: AsyncSession) -> list[str]:
        return list((await session.scalars(select(User.email).order_by(User.id))).all())

    async with app.app_context():
        return await db.read(query)


async def events(app: Quart, name: str) -> list[UserEvent]:
    async def query(session: AsyncSession) -> list[UserEvent]:
        return list((await session.scalars(select(UserEvent).where(UserEvent.event == name))).all())

    async with app.app_context():
        return await db.read(query)


async def at_once(answers: Iterable[Awaitable[Response]]) -> Counter[int]:
    return Counter(answer.status_code for answer in await asyncio.gather(*answers))


async def gets_in(app: Quart, email: str, password: str = PASSWORD) -> bool:
    return (await log_in(app.test_client(), email=email, password=password)).status_code == 303


async def is_refused(client: TestClientProtocol, path: str) -> bool:
    """Say whether a link shows the page of links that do not work, opened and pressed."""
    for answer in (await client.get(path), await client.post(path)):
        if answer.status_code != 404 or "This link does not work" not in await answer.get_data(as_text=True):
            return False
    return True


# Asking, and proving the new address


async def test_a_person_takes_another_address_and_logs_in_with_it(app: Quart) -> None:
    client = await join(app)
    path = await asked_link(app, client, NEW)

    opened = await page(client, path)
    answer = await client.post(path)

    assert f"from then on you log in with <strong>{NEW}</strong>" in opened
    assert (answer.status_code, answer.location) == (303, "/account")
    assert f"Your address is now {NEW}." in await page(client, "/account")
    assert f"Logged in as <strong>{NEW}</strong>" in await page(client)
    assert await gets_in(app, NEW)
    assert not await gets_in(app, EMAIL)


async def test_nothing_changes_until_the_new_address_is_proven(app: Quart) -> None:
    client = await join(app)

    answer = await ask(client, NEW)

    assert (answer.status_code, answer.location) == (303, "/account")
    assert f"A mail is on its way to {NEW}." in await page(client, "/account")
    await page(client, await link(app, "change_email", to=NEW))
    assert await addresses(app) == [EMAIL]
    assert await gets_in(app, EMAIL)
    assert not await gets_in(app, NEW)
    assert [mail.recipient for mail in await mails(app, "change_email")] == [NEW]
    assert not await mails(app, "email_changed")


@on_sqlite
async def test_a_stranger_with_the_link_is_asked_to_log_in_and_uses_nothing_up(app: Quart) -> None:
    client = await join(app)
    path = await asked_link(app, client, NEW)

    for answer in (await app.test_client().get(path), await app.test_client().post(path)):
        assert (answer.status_code, answer.location) == (303, f"/login?next={path}")
    headers = {"Accept": "application/json"}
    assert (await app.test_client().post(path, headers=headers)).status_code == 401

    assert await addresses(app) == [EMAIL]
    assert await follow(client, path) == 303


async def test_a_log_in_of_another_person_proves_nothing_and_uses_nothing_up(app: Quart) -> None:
    ada = await join(app)
    path = await asked_link(app, ada, NEW)
    await create_user(app, BOB)
    bob = app.test_client()

    assert (await log_in(bob, email=BOB, next=path)).location == path
    assert await is_refused(bob, path)

    assert await addresses(app) == [EMAIL, BOB]
    assert await follow(ada, path) == 303
    assert await addresses(app) == [NEW, BOB]


@on_sqlite
async def test_any_log_in_of_the_same_person_proves_it(app: Quart) -> None:
    client = await join(app)
    path = await asked_link(app, client, NEW)
    await client.post("/logout")
    phone = app.test_client()

    assert (await log_in(phone, next=path)).location == path
    assert await follow(phone, path) == 303


@on_sqlite
async def test_the_link_works_for_two_hours(app: Quart, moved_clock: MovedClock) -> None:
    client = await join(app)
    path = await asked_link(app, client, NEW)

    moved_clock.forward(timedelta(hours=2) - SECOND)
    assert (await client.get(path)).status_code == 200
    moved_clock.forward(SECOND)

    assert await is_refused(client, path)
    assert await addresses(app) == [EMAIL]


@on_sqlite
async def test_asking_needs_a_recent_log_in_and_the_link_any(app: Quart, moved_clock: MovedClock) -> None:
    client = await join(app)
    path = await asked_link(app, client, NEW)

    moved_clock.forward(timedelta(minutes=21))
    for answer in (await client.get("/change-email"), await ask(client, THIRD)):
        assert (answer.status_code, answer.location) == (303, "/verify?next=/change-email")

    assert [mail.recipient for mail in await mails(app, "change_email")] == [NEW]
    assert await follow(client, path) == 303


@on_sqlite
async def test_a_stranger_cannot_ask(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)

    for answer in (await client.get("/change-email"), await ask(client, NEW)):
        assert (answer.status_code, answer.location) == (303, "/login?next=/change-email")
    assert (await client.post("/change-email", headers={"Accept": "application/json"})).status_code == 401
    assert not await mails(app)


@on_sqlite
async def test_ones_own_address_is_refused_beside_its_field(app: Quart) -> None:
    client = await join(app)

    for same in (EMAIL, "  ADA@Example.COM ", "ada@EXAMPLE.com"):
        answer = await ask(client, same)
        assert answer.status_code == 422
        assert re.search(r'id="email-error"[^>]*>This is your address already\.<', await answer.get_data(as_text=True))

    assert not await mails(app, "change_email")


@on_sqlite
async def test_what_is_no_address_is_refused_beside_its_field_and_nothing_is_mailed(app: Quart) -> None:
    client = await join(app)
    before = len(await mails(app))

    for typed, refusal in NO_ADDRESSES:
        answer = await ask(client, typed)
        shown = await answer.get_data(as_text=True)
        assert answer.status_code == 422, typed
        assert re.search(rf'id="email-error"[^>]*>{re.escape(refusal)}<', shown), typed
        assert "<script>alert" not in shown

    assert len(await mails(app)) == before
    assert await addresses(app) == [EMAIL]


@on_sqlite
async def test_an_address_that_is_sent_twice_or_not_at_all_is_refused(app: Quart) -> None:
    client = await join(app)

    twice = await client.post(
        "/change-email",
        data=f"email={NEW}&email={THIRD}",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    none = await client.post("/change-email", form={"mail": NEW})

    assert (twice.status_code, none.status_code) == (422, 422)
    assert not await mails(app, "change_email")


@on_sqlite
async def test_a_program_is_told_what_was_wrong(app: Quart) -> None:
    client = await join(app)

    answer = await client.post("/change-email", form={"email": EMAIL}, headers={"Accept": "application/json"})

    assert answer.status_code == 422
    assert (await answer.get_json())["error"]["fields"] == {"email": "This is your address already."}


@on_sqlite
@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  o'brien&co@Example.COM ", "o'brien&co@example.com"),
        (
            "ada@B\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example.com",
            "ada@b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example.com",
        ),
        ("ada+site@example.com", "ada+site@example.com"),
    ],
)
async def test_an_unusual_address_is_text_wherever_it_is_shown(app: Quart, typed: str, kept: str) -> None:
    client = await join(app)
    shown = kept.replace("&", "&amp;").replace("'", "&#39;")

    assert (await ask(client, typed)).status_code == 303
    assert f"A mail is on its way to {typed.strip().replace('&', '&amp;').replace(chr(39), '&#39;')}." in await page(
        client, "/account"
    )
    path = await link(app, "change_email", to=kept)
    assert f"<strong>{shown}</strong>" in await page(client, path)
    assert await follow(client, path) == 303

    assert await addresses(app) == [kept]
    (notice,) = await letters_of(app, "email_changed", to=EMAIL)
    assert kept in notice.text
    assert shown in notice.html


# An address of somebody else


async def answer_for(client: TestClientProtocol, email: str) -> tuple[int, str | None, str]:
    """Return what a person sees who asks for an address, but for the address."""
    answer = await ask(client, email)
    shown = await page(client, "/account")
    return answer.status_code, answer.location, shown.replace(email, "…")


async def test_an_address_of_somebody_else_is_answered_alike_and_its_owner_is_told(app: Quart) -> None:
    ada, bob = await join(app), await join(app, BOB)

    free, taken = await answer_for(ada, NEW), await answer_for(ada, BOB)

    assert taken == free
    assert [mail.recipient for mail in await mails(app, "address_taken")] == [BOB]
    (letter,) = await letters_of(app, "address_taken")
    assert letter.link is None
    assert EMAIL not in letter.text + letter.html
    assert not await mails(app, "change_email", to=BOB)
    assert await addresses(app) == [EMAIL, BOB]
    assert await is_logged_in(bob)


@on_sqlite
async def test_the_owner_of_a_closed_account_is_left_alone_and_the_answer_is_the_same(app: Quart) -> None:
    client = await join(app)
    await create_user(app, BOB, active=False)

    assert await answer_for(client, BOB) == await answer_for(client, NEW)

    assert not await mails(app, to=BOB)
    assert await addresses(app) == [EMAIL, BOB]


@pytest.mark.parametrize("owner", ["nobody", "somebody", "closed"])
async def test_asking_again_makes_the_older_link_void_whoever_has_the_address(app: Quart, owner: str) -> None:
    client = await join(app)
    if owner != "nobody":
        await create_user(app, BOB, active=owner == "somebody")
    path = await asked_link(app, client, NEW)

    await ask(client, BOB)

    assert await is_refused(client, path)  # else it would tell who has an account


async def test_an_address_that_got_an_account_meanwhile_is_not_taken_away_from_it(app: Quart) -> None:
    client = await join(app)
    path = await asked_link(app, client, NEW)
    assert (await register(app.test_client(), email=NEW)).status_code == 303

    answer = await client.post(path)

    assert answer.status_code == 404
    assert "This link does not work" in await answer.get_data(as_text=True)
    assert await addresses(app) == [EMAIL, NEW]
    assert not await mails(app, "email_changed")
    assert await gets_in(app, EMAIL)


async def test_of_two_who_are_promised_one_address_one_gets_it(app: Quart) -> None:
    ada, bob = await join(app), await join(app, BOB)
    hers = await asked_link(app, ada, NEW)
    his = await asked_link(app, bob, NEW)
    assert hers != his

    assert await at_once([ada.post(hers), bob.post(his)]) == {303: 1, 404: 1}

    assert Counter(await addresses(app))[NEW] == 1
    (notice,) = await mails(app, "email_changed")
    assert {*await addresses(app), notice.recipient} == {EMAIL, BOB, NEW}


async def test_of_many_who_ask_and_press_at_once_one_gets_the_address(app: Quart) -> None:
    people = [await join(app, f"person{number}@example.com") for number in range(5)]
    assert await at_once(ask(client, NEW) for client in people) == {303: 5}
    paths = await paths_in(app, "change_email")
    assert len(paths) == 5

    # Whose link is whose is not known: everybody presses them all, and a stranger asks for an account besides.
    tries = [client.post(path) for client in people for path in paths]
    answers = await at_once([*tries, register(app.test_client(), email=NEW)])

    assert answers[303] == 1
    assert set(answers) <= {303, 404, 422}
    assert Counter(await addresses(app))[NEW] == 1


async def test_of_many_who_press_one_link_at_once_one_wins_and_one_notice_leaves(app: Quart) -> None:
    client = await join(app)
    path = await asked_link(app, client, NEW)
    browsers = [thief_with(app, cookie_of(client)) for _ in range(6)]

    assert await at_once(browser.post(path) for browser in browsers) == {303: 1, 404: 5}

    assert len(await mails(app, "email_changed")) == 1
    assert len(await events(app, "email_changed")) == 1
    assert await is_refused(client, path)


async def test_of_many_changes_that_one_person_asks_for_at_once_one_can_be_made(app: Quart) -> None:
    client = await join(app)
    browsers = [thief_with(app, cookie_of(client)) for _ in range(4)]
    wanted = [f"new{number}@example.com" for number in range(4)]

    assert await at_once(ask(browser, email) for browser, email in zip(browsers, wanted, strict=True)) == {303: 4}
    (path,) = await paths_in(app, "change_email")  # the others were withdrawn, and are void
    assert await at_once(browser.post(path) for browser in browsers) == {303: 1, 404: 3}

    assert len(await mails(app, "email_changed")) == 1
    assert set(await addresses(app)) < set(wanted)


async def test_two_who_ask_for_each_others_address_at_once_are_both_answered(app: Quart) -> None:
    ada, bob = await join(app), await join(app, BOB)

    assert await at_once([ask(ada, BOB), ask(bob, EMAIL), ask(ada, BOB), ask(bob, EMAIL)]) == {303: 4}

    assert {mail.recipient for mail in await mails(app, "address_taken")} == {EMAIL, BOB}
    assert not await mails(app, "change_email")
    assert await addresses(app) == [EMAIL, BOB]


async def test_a_change_makes_void_what_was_mailed_to_the_former_address(app: Quart) -> None:
    client = await join(app)
    not_me = await link(app, "new_log_in", to=EMAIL)
    await app.test_client().post("/reset", form={"email": EMAIL})
    reset = await link(app, "reset", to=EMAIL)

    assert await change(app, client, NEW) == 303

    stranger = app.test_client()
    assert await is_refused(stranger, reset)
    assert await is_refused(stranger, not_me)  # what takes its place is the way back
    await stranger.post("/reset", form={"email": EMAIL})
    assert len(await mails(app, "reset", to=EMAIL)) == 0


@on_sqlite
async def test_a_change_of_the_password_makes_a_change_that_waits_void(app: Quart) -> None:
    client = await join(app)
    path = await asked_link(app, client, NEW)

    assert (await change_password(client)).status_code == 303
    await page(client)

    assert await is_refused(client, path)
    assert await addresses(app) == [EMAIL]


@on_sqlite
async def test_the_browser_that_took_the_address_is_known_to_it_and_another_is_not(app: Quart) -> None:
    client, _ = await moved_away(app)
    await client.post("/logout")

    await log_in(client, email=NEW)
    assert not await mails(app, "new_log_in", to=NEW)

    await log_in(app.test_client(), email=NEW)
    assert len(await mails(app, "new_log_in", to=NEW)) == 1


# How many mails


@pytest.fixture
def counting(settings: dict[str, Any]) -> dict[str, Any]:
    return settings | {"THROTTLE_MAILS_PER_ACCOUNT": "3 per 10 minutes"}


async def test_more_than_three_mails_to_one_address_are_not_sent_and_nobody_is_told(
    counting: dict[str, Any], moved_clock: MovedClock
) -> None:
    async with serving(counting) as app:
        ada, bob = await join(app), await join(app, BOB)
        answers = [await answer_for(ada, NEW) for _ in range(3)]
        path = await link(app, "change_email", to=NEW)
        answers += [await answer_for(ada, NEW), await answer_for(ada, NEW)]
        assert len(set(answers)) == 1
        assert len(await mails(app, to=NEW)) == 1  # the older ones are withdrawn, and void

        assert (await ask(bob, NEW)).status_code == 303
        assert len(await mails(app, to=NEW)) == 2  # nobody uses up what others may
        assert len(await events(app, "email_change_asked")) == 4
        moved_clock.forward(timedelta(minutes=10))
        assert await follow(ada, path) == 303  # the last one goes on working


async def test_an_owner_gets_no_more_than_three_mails_in_ten_minutes(
    counting: dict[str, Any], moved_clock: MovedClock
) -> None:
    async with serving(counting) as app:
        ada = await join(app)
        await create_user(app, BOB)

        assert await at_once(ask(ada, BOB) for _ in range(6)) == {303: 6}
        assert len(await mails(app, "address_taken", to=BOB)) == 3

        moved_clock.forward(timedelta(minutes=10))
        assert (await ask(ada, BOB)).status_code == 303
        assert len(await mails(app, "address_taken", to=BOB)) == 4


@on_sqlite
async def test_who_asks_too_often_is_told_when_to_come_back(settings: dict[str, Any]) -> None:
    async with serving(settings | {"THROTTLE_MAILS_PER_ADDRESS": "2 per minute"}) as app:
        client = await join(app)
        statuses = [(await ask(client, f"new{number}@example.com")).status_code for number in range(3)]
        again = await ask(client, NEW)

        assert statuses == [303, 303, 429]
        assert 1 <= int(again.headers["Retry-After"]) <= 60
        assert len(await mails(app, "change_email")) == 1


# The notice, and the way back


@on_sqlite
async def test_the_former_address_is_told_what_happened_from_where_and_with_what(
    app: Quart, moved_clock: MovedClock
) -> None:
    client = await join(app)
    path = await asked_link(app, client, NEW)
    await client.post(path, headers={"User-Agent": FIREFOX}, scope_base={"client": ("192.0.2.7", 4711)})

    assert [mail.recipient for mail in await mails(app, "email_changed")] == [EMAIL]
    (notice,) = await letters_of(app, "email_changed")
    activity = await page(client, "/account/activity")

    happened = f"on {moment_in_words(clock.now())}, from 192.0.2.7, with: Firefox on Linux"
    assert f"From now on you log in with {NEW}. This was changed {happened}." in notice.text
    assert "/undo-email/" in str(notice.link)
    assert "within seven days" in notice.text
    assert "The address was changed" in activity


async def test_the_way_back_brings_the_address_back_and_lets_only_its_reader_in(app: Quart) -> None:
    thief, back = await moved_away(app)
    other = app.test_client()
    await log_in(other, email=NEW)
    owner = app.test_client()

    assert f"its address <strong>{EMAIL}</strong> back" in await page(owner, back)
    answer = await owner.post(back)

    assert (answer.status_code, answer.location) == (303, "/login")
    assert "Every browser is logged out and the password is void." in await page(owner, "/login")
    assert await addresses(app) == [EMAIL]
    assert await count(app, UserSession) == 0
    assert not any([await is_logged_in(thief), await is_logged_in(other), await is_logged_in(owner)])
    assert await count(app, User, User.password.is_(None)) == 1
    assert not any([await gets_in(app, email) for email in (EMAIL, NEW)])


async def test_the_way_back_mails_a_link_to_the_former_address_with_which_the_owner_gets_in(app: Quart) -> None:
    _, back = await moved_away(app)
    owner = app.test_client()

    assert await follow(owner, back) == 303

    assert [mail.recipient for mail in await mails(app, "reset")] == [EMAIL]
    assert await follow(owner, await link(app, "reset", to=EMAIL), **CHOSEN) == 303
    assert await gets_in(app, EMAIL, NEW_PASSWORD)
    assert not await gets_in(app, EMAIL, PASSWORD)
    assert len(await events(app, "email_change_undone")) == 1


async def test_the_way_back_works_once_also_when_it_is_pressed_many_times_at_once(app: Quart) -> None:
    _, back = await moved_away(app)

    assert await at_once(app.test_client().post(back) for _ in range(6)) == {303: 1, 404: 5}

    assert len(await mails(app, "reset")) == 1
    assert await is_refused(app.test_client(), back)


async def test_what_was_mailed_to_the_thief_is_void_after_the_way_back(app: Quart) -> None:
    thief, back = await moved_away(app)
    await log_in(app.test_client(), email=NEW)
    await app.test_client().post("/reset", form={"email": NEW})
    theirs = [await link(app, template, to=NEW) for template in ("new_log_in", "reset")]
    theirs.append(await asked_link(app, thief, THIRD))

    assert await follow(app.test_client(), back) == 303

    assert [await is_refused(app.test_client(), path) for path in theirs[:2]] == [True, True]
    assert (await thief.post(theirs[2])).location == f"/login?next={theirs[2]}"
    async with app.app_context():
        left = await db.read(purposes_left)
    assert left == [Purpose.RESET]


async def purposes_left(session: AsyncSession) -> list[str]:
    return list((await session.scalars(select(UserToken.purpose).order_by(UserToken.id))).all())


async def test_the_way_back_is_open_for_a_week_and_the_address_is_kept_as_long(
    app: Quart, moved_clock: MovedClock
) -> None:
    _, back = await moved_away(app)

    moved_clock.forward(WEEK - SECOND)
    assert (await app.test_client().get(back)).status_code == 200
    assert (await register(app.test_client())).status_code == 422
    moved_clock.forward(SECOND)

    assert await is_refused(app.test_client(), back)
    assert (await register(app.test_client())).status_code == 303
    assert await addresses(app) == [NEW, EMAIL]


async def test_a_thief_cannot_switch_the_way_back_off(app: Quart) -> None:
    thief, back = await moved_away(app)

    assert (await change_password(thief)).status_code == 303
    await thief.post("/sessions/end-others")
    await app.test_client().post("/reset", form={"email": NEW})
    assert await follow(app.test_client(), await link(app, "reset", to=NEW), **CHOSEN) == 303
    await follow(app.test_client(), await link(app, "password_changed", to=NEW))

    assert await follow(app.test_client(), back) == 303
    assert await addresses(app) == [EMAIL]


async def twice_moved(app: Quart) -> tuple[TestClientProtocol, str, str]:
    """Have a thief move an account twice; return their browser, the way back of its owner, and that of the thief."""
    thief, owners = await moved_away(app)
    assert await change(app, thief, THIRD) == 303
    return thief, owners, await link(app, "email_changed", to=NEW)


async def test_a_thief_who_moved_on_has_no_way_back_once_the_owner_used_theirs(app: Quart) -> None:
    _, owners, thiefs = await twice_moved(app)

    assert await follow(app.test_client(), owners) == 303

    assert await is_refused(app.test_client(), thiefs)
    assert await addresses(app) == [EMAIL]
    assert [mail.recipient for mail in await mails(app, "reset")] == [EMAIL]


async def test_a_thief_who_used_their_way_back_first_loses_to_the_owner(app: Quart) -> None:
    _, owners, thiefs = await twice_moved(app)

    assert await follow(app.test_client(), thiefs) == 303
    assert await addresses(app) == [NEW]
    theirs = await link(app, "reset", to=NEW)
    assert await follow(app.test_client(), owners) == 303

    assert await addresses(app) == [EMAIL]
    assert await is_refused(app.test_client(), theirs)
    assert not await gets_in(app, NEW)


async def test_of_both_ways_back_at_once_the_owners_wins(app: Quart) -> None:
    _, owners, thiefs = await twice_moved(app)

    own, _ = await asyncio.gather(app.test_client().post(owners), app.test_client().post(thiefs))

    assert own.status_code == 303
    assert await addresses(app) == [EMAIL]
    assert await is_refused(app.test_client(), thiefs)


async def test_a_change_that_races_the_way_back_gains_a_thief_nothing(app: Quart) -> None:
    thief, back = await moved_away(app)
    next_move = await asked_link(app, thief, THIRD)

    own, theirs = await asyncio.gather(app.test_client().post(back), thief.post(next_move))

    assert own.status_code == 303
    assert theirs.status_code in (303, 404)
    assert await addresses(app) == [EMAIL]
    assert not await is_logged_in(thief)
    async with app.app_context():
        assert await db.read(purposes_left) == [Purpose.RESET]


async def test_a_log_in_that_races_the_way_back_does_not_survive_it(app: Quart) -> None:
    _, back = await moved_away(app)
    thieves = [app.test_client() for _ in range(6)]

    await asyncio.gather(app.test_client().post(back), *(log_in(thief, email=NEW) for thief in thieves))

    assert not any([await is_logged_in(thief) for thief in thieves])
    assert await count(app, UserSession) == 0


@on_sqlite
async def test_the_way_back_of_one_account_is_none_into_another(app: Quart) -> None:
    bob = await join(app, BOB)
    _, back = await moved_away(app)

    assert await follow(bob, back) == 303

    assert await addresses(app) == [BOB, EMAIL]
    assert await is_logged_in(bob)


# The former address, while it may go back


async def test_nobody_signs_up_with_an_address_that_may_go_back(app: Quart) -> None:
    _, back = await moved_away(app)

    answer = await register(app.test_client(), email="ADA@example.com")

    assert answer.status_code == 422
    assert "another account&#39;s until lately" in await answer.get_data(as_text=True)
    assert await addresses(app) == [NEW]
    assert await follow(app.test_client(), back) == 303


@on_sqlite
async def test_signing_up_tells_nobody_that_an_address_may_go_back(settings: dict[str, Any]) -> None:
    async with serving(settings | {"SECURITY_CONFIRMABLE": True}) as app:
        await create_user(app)
        async with app.app_context():
            await db.write(accounts.confirm, email=EMAIL)
        client = app.test_client()
        await log_in(client)
        assert await change(app, client, NEW) == 303

        answers = [await register(app.test_client(), email=email) for email in (EMAIL, THIRD)]

        assert {(answer.status_code, answer.location) for answer in answers} == {(303, "/login")}
        assert await addresses(app) == [NEW, THIRD]


async def test_nobody_changes_to_an_address_that_may_go_back(app: Quart) -> None:
    bob = await join(app, BOB)
    _, back = await moved_away(app)

    path = await asked_link(app, bob, EMAIL)  # answered like any other; even the reader of its mail is refused

    assert (await bob.post(path)).status_code == 404
    assert await addresses(app) == [BOB, NEW]
    assert await follow(app.test_client(), back) == 303


async def test_an_address_is_never_free_for_a_moment_while_it_is_left(app: Quart) -> None:
    ada, bob = await join(app), await join(app, BOB)
    his = await asked_link(app, bob, THIRD)
    # As if he had asked before she had it.
    await execute(app, update(UserToken).where(UserToken.email == THIRD).values(email=EMAIL, email_key=EMAIL))
    hers = await asked_link(app, ada, NEW)

    strangers = [register(app.test_client()) for _ in range(4)]
    answers = await asyncio.gather(ada.post(hers), bob.post(his), *strangers)

    assert [answer.status_code for answer in answers] == [303, 404, *([422] * 4)]
    assert sorted(await addresses(app)) == sorted([NEW, BOB])


async def test_an_address_is_never_free_for_a_moment_while_it_goes_back(app: Quart) -> None:
    bob = await join(app, BOB)
    _, back = await moved_away(app)
    his = await asked_link(app, bob, EMAIL)

    strangers = [register(app.test_client()) for _ in range(4)]
    answers = await asyncio.gather(*strangers, bob.post(his), app.test_client().post(back))

    assert [answer.status_code for answer in answers] == [*([422] * 4), 404, 303]
    assert sorted(await addresses(app)) == sorted([EMAIL, BOB])


async def test_the_owner_may_go_back_to_the_address_by_a_change(app: Quart) -> None:
    client, _ = await moved_away(app)

    assert await change(app, client, EMAIL) == 303

    assert await addresses(app) == [EMAIL]
    assert await is_logged_in(client)
    assert await gets_in(app, EMAIL)


async def test_an_owner_who_went_back_by_a_change_is_not_put_out_by_the_address_between(
    app: Quart, moved_clock: MovedClock
) -> None:
    owner = await join(app)
    thief = thief_with(app, cookie_of(owner))
    assert await change(app, thief, NEW) == 303
    moved_clock.forward(timedelta(hours=20))
    await owner.post("/verify", form={"password": PASSWORD})
    assert await change(app, owner, EMAIL) == 303

    moved_clock.forward(WEEK - timedelta(hours=1))  # the owner's way back has expired, and a later one had not
    for path in await paths_in(app, "email_changed"):
        await app.test_client().post(path)

    assert await addresses(app) == [EMAIL]


async def test_an_address_is_free_once_its_account_is_deleted(app: Quart) -> None:
    client, back = await moved_away(app)

    assert (await client.post("/account/delete", form={"password": PASSWORD})).status_code == 303

    assert await is_refused(app.test_client(), back)
    assert (await register(app.test_client())).status_code == 303
