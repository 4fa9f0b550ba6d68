"""Addresses that have to be confirmed: signing up tells nobody who has an account, and gives nobody another's."""

import asyncio
import re
import time
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from quart import Quart, Response
from quart.typing import TestClientProtocol
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.middleware.mailed_links import secret_of
from app.models import User, UserSession, UserToken, db
from app.models.user_token import Purpose
from app.services import accounts, confirmations
from app.services.activity import COMMAND_LINE
from conftest import serving
from letters_read import follow, letters_of, link, mails
from people import EMAIL, PASSWORD, count, create_user, execute, is_logged_in, log_in, page, register
from test_mailed_links import NEW_PASSWORD, TYPED, join, mailed_link, on_sqlite, press, said, whole_database
from test_sessions import MovedClock, moved_clock

__all__ = ["moved_clock"]  # a fixture

ATTACKERS_PASSWORD = "the password of an attacker"
# Addresses of every kind, each as long as the others: Content-Length is to be the same.
UNKNOWN = "0@example.com"
CONFIRMED, WAITING, CLOSED, UNSET, RESERVED = (f"{number}@example.com" for number in range(1, 6))
KINDS = (UNKNOWN, CONFIRMED, WAITING, CLOSED, UNSET, RESERVED)


@pytest.fixture
def settings(settings: dict[str, Any]) -> dict[str, Any]:
    return settings | {"SECURITY_CONFIRMABLE": True}


async def create_every_kind(app: Quart) -> None:
    """Open an account for each address but the unknown one; a thief has taken that of the last."""
    await join(app, CONFIRMED)
    await create_user(app, WAITING)
    await create_user(app, CLOSED, active=False)
    await create_user(app, UNSET, password=None)
    await execute(app, update(User).where(User.email == UNSET).values(confirmed_on=func.now()))
    await join(app, "thief@example.com")
    await mailed_link(app, Purpose.UNDO_EMAIL, of="thief@example.com")
    await execute(app, update(UserToken).values(email=RESERVED, email_key=RESERVED))


async def answer_without(email: str, client: TestClientProtocol, answer: Response) -> object:
    """Return what is said to who typed an address, there and on the page that follows, but for the address."""
    following = await said(await client.get(answer.location))
    names = {cookie.name for cookie in client.cookie_jar or ()}
    return await said(answer), re.sub(re.escape(email), "", str(following)), names


async def ask_again(client: TestClientProtocol, email: str = EMAIL, **more: Any) -> Response:
    return await client.post("/confirm", form={"email": email}, **more)


async def waiting_links(app: Quart) -> int:
    async def query(session: AsyncSession) -> int:
        mine = select(func.count()).select_from(UserToken).where(UserToken.purpose == Purpose.CONFIRM)
        return await session.scalar(mine) or 0

    async with app.app_context():
        return await db.read(query)


async def test_a_person_signs_up_confirms_the_address_and_logs_in(app: Quart, client: TestClientProtocol) -> None:
    answer = await register(client)

    assert (answer.status_code, answer.location) == (303, "/login")
    assert f"A mail is on its way to {EMAIL}." in await page(client, "/login")
    assert not await is_logged_in(client)
    assert [(mail.template, mail.recipient) for mail in await mails(app)] == [("confirm", EMAIL)]
    path = await link(app, "confirm")
    assert "new_password" not in await page(client, path)
    confirmed = await client.post(path)
    assert (confirmed.status_code, confirmed.location) == (303, "/login")
    assert "Your address is confirmed. Log in." in await page(client, "/login")
    assert (await log_in(client)).status_code == 303


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
async def test_signing_up_says_the_same_whoever_has_an_account(app: Quart, accept: str) -> None:
    await create_every_kind(app)

    heard = []
    for email in KINDS:
        client = app.test_client()
        form = {"email": email, "password": PASSWORD, "password_confirm": PASSWORD}
        answer = await client.post("/register", form=form, headers={"Accept": accept})
        heard.append(await answer_without(email, client, answer))

    assert heard == [heard[0]] * len(KINDS)


async def test_only_a_waiting_address_gets_a_link_and_the_owner_of_an_account_is_told(app: Quart) -> None:
    await create_every_kind(app)
    before = await mails(app)

    for email in KINDS:
        await register(app.test_client(), email=email)

    new = {mail.recipient: mail.template for mail in await mails(app) if mail.id not in {old.id for old in before}}
    told = "address_taken"
    assert new == {UNKNOWN: "confirm", CONFIRMED: told, WAITING: "confirm", UNSET: told}


async def test_an_address_that_may_go_back_to_its_owner_is_not_given_away(app: Quart) -> None:
    await join(app, "thief@example.com")
    undo = await mailed_link(app, Purpose.UNDO_EMAIL, of="thief@example.com")  # to former-ada@example.com

    await register(app.test_client(), email="former-ada@example.com")

    assert await count(app, User) == 1
    assert (await press(app.test_client(), undo)).status_code == 303


async def test_signing_up_with_the_address_of_an_account_leaves_the_account_as_it_is(
    app: Quart, client: TestClientProtocol
) -> None:
    owner = await join(app)
    before = await whole_database(app)

    await register(client, email="ADA@example.com", password=ATTACKERS_PASSWORD)

    after = await whole_database(app)
    assert {table for table in before if before[table] != after[table]} <= {"mail", "throttle"}
    assert await is_logged_in(owner)
    (letter,) = await letters_of(app, "address_taken", to=EMAIL)
    assert letter.link is None
    assert "http://localhost:5000/reset if you have forgotten yours" in letter.text


@on_sqlite
async def test_who_is_told_of_a_sign_up_is_not_sent_to_a_page_that_is_not_there(settings: dict[str, Any]) -> None:
    async with serving(settings | {"SECURITY_RECOVERABLE": False}) as app:
        await join(app)
        await register(app.test_client())

        (letter,) = await letters_of(app, "address_taken")

    assert "/login" in letter.text
    assert "/reset" not in letter.text + letter.html


@on_sqlite
async def test_a_form_that_is_not_right_is_refused_alike_whoever_has_an_account(app: Quart) -> None:
    await create_every_kind(app)

    for typed in ({"password": "short"}, {"password": "12345678"}, {"password_confirm": "x"}, {"password": ""}):
        answers = [await said(await register(app.test_client(), email=email, **typed)) for email in KINDS]
        assert [re.sub(r"\d@example", "", str(answer)) for answer in answers] == [
            re.sub(r"\d@example", "", str(answers[0]))
        ] * len(KINDS)
        assert answers[0][0] == 422


async def test_a_log_in_before_the_confirmation_is_refused_like_a_wrong_password(app: Quart) -> None:
    await register(app.test_client(), email=WAITING)

    refused = [await log_in(app.test_client(), email=email) for email in (WAITING, UNKNOWN)]

    waiting, stranger = [str(await said(answer)).replace(WAITING, UNKNOWN) for answer in refused]
    assert refused[0].status_code == 422
    assert waiting == stranger
    assert await count(app, UserSession) == 0


async def test_who_opens_the_link_in_another_browser_chooses_the_password(app: Quart) -> None:
    await register(app.test_client(), password=ATTACKERS_PASSWORD)
    owner, path = app.test_client(), await link(app, "confirm")

    shown = await page(owner, path)
    assert 'name="new_password"' in shown
    assert "The account was opened in another browser." in shown
    assert (await press(owner, path)).status_code == 303

    assert (await log_in(owner, password=NEW_PASSWORD)).status_code == 303
    assert (await log_in(app.test_client(), password=ATTACKERS_PASSWORD)).status_code == 422


@pytest.mark.parametrize(
    "typed",
    [
        {},
        {"new_password": "", "new_password_confirm": ""},
        {"new_password": "short", "new_password_confirm": "short"},
        {"new_password": "12345678", "new_password_confirm": "12345678"},
        {"new_password": EMAIL, "new_password_confirm": EMAIL},
        {"new_password": NEW_PASSWORD, "new_password_confirm": "something else"},
    ],
)
@on_sqlite
async def test_without_a_new_password_that_is_good_nothing_is_confirmed(app: Quart, typed: dict[str, str]) -> None:
    await register(app.test_client(), password=ATTACKERS_PASSWORD)
    owner, path = app.test_client(), await link(app, "confirm")
    before = await whole_database(app)

    refused = await owner.post(path, form=typed)

    assert refused.status_code == 422
    assert 'id="new_password' in await refused.get_data(as_text=True)
    assert await whole_database(app) == before
    assert await follow(owner, path, **TYPED) == 303


async def test_an_attacker_who_signs_up_before_the_owner_gains_nothing(app: Quart) -> None:
    attacker, owner = app.test_client(), app.test_client()
    await register(attacker, password=ATTACKERS_PASSWORD)
    await register(owner)

    path = await link(app, "confirm")
    assert 'name="new_password"' in await page(owner, path)  # the account's password is the attacker's
    assert (await owner.post(path)).status_code == 422
    assert await follow(owner, path, **TYPED) == 303

    assert (await log_in(attacker, password=ATTACKERS_PASSWORD)).status_code == 422
    assert not await is_logged_in(attacker)
    assert (await log_in(owner, password=NEW_PASSWORD)).status_code == 303


async def test_an_attacker_who_signs_up_after_the_owner_gains_nothing(app: Quart) -> None:
    attacker, owner = app.test_client(), app.test_client()
    await register(owner)
    await register(attacker, password=ATTACKERS_PASSWORD)

    path = await link(app, "confirm")
    assert "new_password" not in await page(owner, path)  # their own browser keeps their own password
    assert (await owner.post(path)).status_code == 303

    assert (await log_in(attacker, password=ATTACKERS_PASSWORD)).status_code == 422
    assert (await log_in(owner)).status_code == 303


@on_sqlite
async def test_what_one_browser_has_chosen_confirms_no_other_account(app: Quart) -> None:
    attacker = app.test_client()
    await register(attacker, email="attacker@example.com")
    await register(app.test_client(), password=ATTACKERS_PASSWORD)

    path = await link(app, "confirm", to=EMAIL)

    assert 'name="new_password"' in await page(attacker, path)
    assert (await attacker.post(path)).status_code == 422
    assert (await log_in(app.test_client(), password=ATTACKERS_PASSWORD)).status_code == 422


async def test_a_password_of_another_browser_is_not_kept_even_if_no_page_asks_for_one(app: Quart) -> None:
    await register(app.test_client(), password=ATTACKERS_PASSWORD)
    path = await link(app, "confirm")
    before = await whole_database(app)

    async with app.app_context():
        secret = secret_of(path.split("/")[-1], purpose=Purpose.CONFIRM)
        for chosen in (None, "", "0" * 64):
            with pytest.raises(confirmations.PasswordNeeded):
                await db.write(confirmations.confirm, secret, chosen=chosen, new_hash=None, origin=COMMAND_LINE)

    assert await whole_database(app) == before
    assert await follow(app.test_client(), path, **TYPED) == 303


async def test_confirming_ends_every_log_in_that_was_there(settings: dict[str, Any]) -> None:
    async with serving(settings | {"SECURITY_CONFIRMABLE": False}) as app:
        attacker = app.test_client()
        await register(attacker, password=ATTACKERS_PASSWORD)
    async with serving(settings) as app:
        owner = app.test_client()
        await ask_again(owner)
        assert await follow(owner, await link(app, "confirm"), **TYPED) == 303
        assert await count(app, UserSession) == 0
        assert (await log_in(owner, password=NEW_PASSWORD)).status_code == 303
        assert (await log_in(app.test_client(), password=ATTACKERS_PASSWORD)).status_code == 422


async def test_accounts_from_before_confirm_their_address_and_choose_a_password(settings: dict[str, Any]) -> None:
    async with serving(settings | {"SECURITY_CONFIRMABLE": False}) as app:
        await register(app.test_client())
    async with serving(settings) as app:
        client = app.test_client()
        assert (await log_in(client)).status_code == 422
        assert "have it sent again" in await page(client, "/login")
        await ask_again(client)
        path = await link(app, "confirm")
        assert (await client.post(path)).status_code == 422
        assert await follow(client, path, **TYPED) == 303
        assert (await log_in(client, password=NEW_PASSWORD)).status_code == 303


@on_sqlite
async def test_a_confirmed_account_stays_as_it_is_when_confirming_begins(settings: dict[str, Any]) -> None:
    async with serving(settings | {"SECURITY_CONFIRMABLE": False}) as app:
        await join(app)
    async with serving(settings) as app:
        assert (await log_in(app.test_client())).status_code == 303


async def test_asking_again_says_the_same_whoever_waits_and_mails_only_to_them(app: Quart) -> None:
    await create_every_kind(app)
    before = len(await mails(app))

    heard = []
    for email in (*KINDS, "ada", "a b@example.com", "ada@localhost"):
        client = app.test_client()
        heard.append(await answer_without(email, client, await ask_again(client, email)))

    assert heard == [heard[0]] * len(heard)
    assert [mail.recipient for mail in (await mails(app))[before:]] == [WAITING]


@pytest.mark.parametrize("email", ["", "  ", "a" * 255])
@on_sqlite
async def test_asking_again_without_an_address_is_told(client: TestClientProtocol, email: str) -> None:
    answer = await ask_again(client, email)

    assert answer.status_code == 422
    assert 'id="email-error"' in await answer.get_data(as_text=True)


async def test_asking_again_replaces_the_link_and_keeps_the_password_of_the_browser(
    app: Quart, client: TestClientProtocol
) -> None:
    await register(client)
    first = await link(app, "confirm")

    answer = await ask_again(client, " ADA@Example.com ")
    second = await link(app, "confirm")

    assert (answer.status_code, answer.location) == (303, "/login")
    assert (await client.get(first)).status_code == 404
    assert await follow(client, second) == 303
    assert (await log_in(client)).status_code == 303


@on_sqlite
async def test_a_link_works_for_five_days_and_then_another_is_asked_for(
    app: Quart, client: TestClientProtocol, moved_clock: MovedClock
) -> None:
    await register(client)
    path = await link(app, "confirm")

    moved_clock.forward(timedelta(days=5, seconds=-1))
    assert (await client.get(path)).status_code == 200
    moved_clock.forward(timedelta(seconds=1))
    assert (await client.post(path)).status_code == 404
    assert (await log_in(client)).status_code == 422

    await register(client)
    assert await follow(client, await link(app, "confirm"), **TYPED) == 303


@on_sqlite
async def test_an_account_that_somebody_confirms_at_the_command_line_may_log_in(app: Quart) -> None:
    client = app.test_client()
    await register(client)

    async with app.app_context():
        await db.write(accounts.confirm, email=EMAIL)

    assert (await log_in(client)).status_code == 303


@on_sqlite
async def test_without_confirming_there_is_no_such_page(settings: dict[str, Any]) -> None:
    async with serving(settings) as app:
        await register(app.test_client())
        path = await link(app, "confirm")
        assert 'href="/confirm"' in await page(app.test_client(), "/login")
    async with serving(settings | {"SECURITY_CONFIRMABLE": False}) as app:
        client = app.test_client()
        pages = [await client.get("/confirm"), await ask_again(client), await client.get(path), await client.post(path)]
        assert [answer.status_code for answer in pages] == [404] * 4
        assert "/confirm" not in await page(client, "/login")


async def test_of_many_who_sign_up_with_an_address_at_once_one_has_the_account(app: Quart) -> None:
    browsers = [app.test_client() for _ in range(10)]

    answers = await asyncio.gather(
        *(register(browser, password=f"{PASSWORD} {number}") for number, browser in enumerate(browsers))
    )

    assert Counter(answer.status_code for answer in answers) == {303: 10}
    assert await count(app, User) == 1
    assert await waiting_links(app) == 1
    path = await link(app, "confirm")
    kept = ["new_password" not in await page(browser, path) for browser in browsers]
    assert sum(kept) == 1
    assert await follow(browsers[kept.index(True)], path) == 303
    assert (await log_in(app.test_client(), password=f"{PASSWORD} {kept.index(True)}")).status_code == 303


async def test_links_that_are_asked_for_at_once_leave_one_that_works(app: Quart) -> None:
    await register(app.test_client())

    both = [(register(app.test_client()), ask_again(app.test_client())) for _ in range(5)]
    answers = await asyncio.gather(*(asking for pair in both for asking in pair))

    assert Counter(answer.status_code for answer in answers) == {303: 10}
    assert await waiting_links(app) == 1
    assert await follow(app.test_client(), await link(app, "confirm"), **TYPED) == 303


async def test_log_ins_that_race_the_confirmation_of_the_owner_stay_outside(app: Quart) -> None:
    await register(app.test_client(), password=ATTACKERS_PASSWORD)
    path, guests = await link(app, "confirm"), [app.test_client() for _ in range(6)]

    confirmed, *_ = await asyncio.gather(
        press(app.test_client(), path), *(log_in(guest, password=ATTACKERS_PASSWORD) for guest in guests)
    )

    assert confirmed.status_code == 303
    assert not any([await is_logged_in(guest) for guest in guests])
    assert await count(app, UserSession) == 0


@pytest.mark.parametrize("door", ["/register", "/confirm"])
async def test_no_more_than_three_mails_leave_in_ten_minutes_and_nobody_is_told(
    settings: dict[str, Any], moved_clock: MovedClock, door: str
) -> None:
    async with serving(settings | {"THROTTLE_MAILS_PER_ACCOUNT": "3 per 10 minutes"}) as app:
        await create_user(app, WAITING)
        seen, heard = [], []
        for tries in range(5):
            moved_clock.forward(timedelta(minutes=10 if tries == 4 else 0))
            client = app.test_client()
            form = {"email": WAITING, "password": PASSWORD, "password_confirm": PASSWORD}
            heard.append(await answer_without("", client, await client.post(door, form=form)))
            seen.append(await link(app, "confirm"))
            assert (await client.get(seen[-1])).status_code == 200

    assert seen[3] == seen[2]
    assert len(set(seen)) == 4
    assert heard == [heard[0]] * 5


async def test_an_owner_gets_no_more_than_three_mails_of_strangers_who_sign_up(settings: dict[str, Any]) -> None:
    async with serving(settings | {"THROTTLE_MAILS_PER_ACCOUNT": "3 per 10 minutes"}) as app:
        await join(app)

        answers = await asyncio.gather(*(register(app.test_client()) for _ in range(8)))

        assert Counter(answer.status_code for answer in answers) == {303: 8}
        assert len(await mails(app, "address_taken")) == 3
        assert (await register(app.test_client(), email="other@example.com")).status_code == 303
        assert len(await mails(app, "confirm")) == 1


@on_sqlite
async def test_who_asks_too_often_from_one_address_is_told_alike_of_any_account(
    settings: dict[str, Any], moved_clock: MovedClock
) -> None:
    async with serving(settings | {"THROTTLE_MAILS_PER_ADDRESS": "2 per minute"}) as app:
        await create_user(app, WAITING)
        for email in (UNKNOWN, WAITING):
            assert (await ask_again(app.test_client(), email)).status_code == 303

        refused = [await ask_again(app.test_client(), email) for email in (UNKNOWN, WAITING)]

        assert [answer.status_code for answer in refused] == [429, 429]
        assert await said(refused[0]) == await said(refused[1])
        assert refused[0].headers["Retry-After"] == "60"
        elsewhere = await ask_again(app.test_client(), WAITING, scope_base={"client": ("192.0.2.7", 4711)})
        assert elsewhere.status_code == 303


@pytest.mark.slow
@on_sqlite
async def test_signing_up_takes_as_long_whoever_has_an_account(app: Quart) -> None:
    await create_every_kind(app)

    async def seconds(email: str) -> float:
        began = time.monotonic()
        await register(app.test_client(), email=email)
        return time.monotonic() - began

    for _ in range(3):  # what others do on this machine passes, and what gives people away does not
        took = await asyncio.gather(*map(seconds, KINDS))
        if max(took) - min(took) < 0.1:
            break

    assert max(took) - min(took) < 0.1
    assert min(took) > 0.49
