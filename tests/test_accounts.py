"""A person's own account: what they say of themselves, and what happened to it."""

import ast
import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import DEFAULTS
from app.models import UserEvent, clock, db
from app.services import accounts, activity, credentials, roles
from app.services.activity import KEPT, Origin
from app.words import EVENTS, moment_in_words
from conftest import ROOT, serving
from letters_read import follow, link
from people import EMAIL, PASSWORD, change_password, create_user, execute, log_in, page, register
from statements import sent_statements
from test_sessions import MovedClock, moved_clock

__all__ = ["moved_clock"]  # a fixture

PHONE = "+49301234567"
BOB = "bob@example.com"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
EVIL = "<script>alert(1)</script>"
REFUSED_NUMBER = "Enter the number with the code of its country, like +49 30 1234567."
UNUSABLE = "There is a character in it that cannot be used."
SPELLINGS = [
    "+49301234567",
    "+49 30 1234567",
    "  +49 30 1234567  ",
    "+49 (0)30 1234567",
    "+49 (0) 30 / 123 45 67",
    "0049 30 1234567",
    "00 49 (30) 123-45-67",
    "(+49) 30.123.4567",
    "+49\N{NO-BREAK SPACE}30\N{NO-BREAK SPACE}1234567",
    "(0049)301234567",
    "++49301234567",
    "+49 30 \N{FULLWIDTH DIGIT ONE}234567",
    "+49 30 \N{ARABIC-INDIC DIGIT ONE}234567",
]
NO_NUMBERS = [
    "030 1234567",
    "0491701234567",
    "49301234567",
    "+",
    "+0301234567",
    "+49+301234567",
    "+4912",
    "+1234567890123456",
    "+49 30 12345a7",
    "+49 30 1234567;ext=5",
    "+49 30 1234567#5",
    "+999 30 1234567",  # no country has this code
    "+1 555 0123",  # without its area code
    "+49 30 1234567\n+49 30 7654321",
    "call me",
    EVIL,
]
NO_NAMES = ["Ada\nLovelace", "Ada\tLovelace", "\aAda", "Ada\N{NO-BREAK SPACE}Lovelace", "\N{RIGHT-TO-LEFT OVERRIDE}adA"]
BLANKS = ["", "   ", "\t", "\r\n", "\N{NO-BREAK SPACE}", "\N{IDEOGRAPHIC SPACE}", " \N{EM SPACE} "]

on_sqlite = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)


async def save(client: TestClientProtocol, **typed: str) -> int:
    """Send the form of the account page, with what a person changes in it; return the status."""
    response = await client.post("/account", form={"name": "", "phone": ""} | typed)
    return response.status_code


async def refusal(client: TestClientProtocol, field: str, **typed: str) -> str:
    """Send what is refused, and return what then stands beside the field."""
    response = await client.post("/account", form={"name": "", "phone": ""} | typed)
    assert response.status_code == 422
    shown = await response.get_data(as_text=True)
    assert f'aria-describedby="{field}-error' in shown or f'{field}-hint {field}-error"' in shown
    beside = re.search(rf'id="{field}-error" class="error">([^<]*)<', shown)
    return unescape(beside[1]) if beside else ""


async def field_on_page(client: TestClientProtocol, field: str) -> str:
    """Return what stands in a field when the page is opened."""
    tag = re.search(rf'<input [^>]*id="{field}"[^>]*>', await page(client, "/account"))
    assert tag
    value = re.search(r'value="([^"]*)"', tag[0])
    return unescape(value[1]) if value else ""


async def stored(app: Quart, email: str = EMAIL) -> tuple[str | None, str | None]:
    """Return the name and the phone that the database has."""
    async with app.app_context():
        user = await db.read(accounts.get_by_email, email=email)
    return user.name, user.phone


async def happened(app: Quart, email: str = EMAIL) -> list[UserEvent]:
    """Return what happened to an account, the newest first."""

    async def query(session: AsyncSession) -> list[UserEvent]:
        user = await accounts.get_by_email(session, email=email)
        return list(await activity.list_recent(session, user_id=user.id))

    async with app.app_context():
        return await db.read(query)


async def lines_of(client: TestClientProtocol) -> list[str]:
    """Return what /account/activity says, line by line, as a person reads it."""
    listed = re.findall(r"<li>\s*<strong>.*?</li>", await page(client, "/account/activity"), re.DOTALL)
    return [" ".join(unescape(re.sub(r"<[^>]*>", " ", line)).split()) for line in listed]


def words_of(line: str) -> str:
    """Return what happened, without when and where."""
    return re.split(r" \w{3} \d+, \d{4}", line)[0]


async def a_second_person(app: Quart) -> TestClientProtocol:
    client = app.test_client()
    assert (await register(client, email=BOB)).status_code == 303
    return client


# Name and phone


async def test_a_person_says_who_they_are_and_sees_it_everywhere(app: Quart, client: TestClientProtocol) -> None:
    await register(client)

    answer = await client.post("/account", form={"name": "  Ada Lovelace ", "phone": "+49 30 1234567"})

    assert (answer.status_code, answer.location) == (303, "/account")
    assert "Saved." in await page(client, "/account")
    assert await field_on_page(client, "name") == "Ada Lovelace"
    assert await field_on_page(client, "phone") == PHONE
    assert f"Ada Lovelace &lt;{EMAIL}&gt;" in await page(client)
    assert await stored(app) == ("Ada Lovelace", PHONE)


async def test_a_name_and_a_number_can_be_emptied_again(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    await save(client, name="Ada", phone=PHONE)

    assert await save(client) == 303

    assert await stored(app) == (None, None)
    assert (await field_on_page(client, "name"), await field_on_page(client, "phone")) == ("", "")


@pytest.mark.parametrize("blank", BLANKS, ids=ascii)
@on_sqlite
async def test_a_field_with_nothing_but_white_space_is_an_empty_one(
    app: Quart, client: TestClientProtocol, blank: str
) -> None:
    await register(client)
    await save(client, name="Ada", phone=PHONE)

    assert await save(client, name=blank, phone=PHONE) == 303
    assert await stored(app) == (None, PHONE)
    assert await save(client, phone=blank) == 303
    assert await stored(app) == (None, None)


async def test_what_is_not_sent_at_all_counts_as_empty(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    await save(client, name="Ada", phone=PHONE)

    assert (await client.post("/account")).status_code == 303

    assert await stored(app) == (None, None)


async def test_names_of_any_language_are_welcome(app: Quart, client: TestClientProtocol) -> None:
    await register(client)

    for name in ("Zoë O’Neill-Łukasz", "李小龍", "محمد", "🦊", "x" * 100, "🦊" * 100):
        assert await save(client, name=name) == 303
        assert await stored(app) == (name, None)
        assert await field_on_page(client, "name") == name


async def test_a_number_is_kept_in_one_form_however_it_is_written(app: Quart, client: TestClientProtocol) -> None:
    await register(client)

    for spelling in (*SPELLINGS, "\t+49301234567\n"):
        assert await save(client, phone=spelling) == 303, spelling
        assert await stored(app) == (None, PHONE), spelling
        await save(client)


async def test_what_is_no_number_is_refused_beside_its_field(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    await save(client, name="Ada", phone=PHONE)

    for typed in NO_NUMBERS:
        assert await refusal(client, "phone", name="Another", phone=typed) == REFUSED_NUMBER, repr(typed)
    assert await refusal(client, "phone", phone="+4930" + " " * 30 + "1234567") == "This number is too long."

    assert await stored(app) == ("Ada", PHONE)


async def test_what_is_no_name_is_refused_beside_its_field(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    await save(client, name="Ada", phone=PHONE)

    for typed in NO_NAMES:
        assert await refusal(client, "name", name=typed) == UNUSABLE, repr(typed)
    assert await refusal(client, "name", name="x" * 101) == "This name is too long."

    assert await stored(app) == ("Ada", PHONE)


async def test_a_field_that_is_sent_twice_is_refused(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}

    answer = await client.post("/account", data=b"name=Ada&name=Eve&phone=", headers=headers)

    assert answer.status_code == 422
    assert await stored(app) == (None, None)


async def test_a_program_is_told_which_field_was_wrong(client: TestClientProtocol) -> None:
    await register(client)
    headers = {"Accept": "application/json"}

    answer = await client.post("/account", form={"name": "\a", "phone": "12"}, headers=headers)

    assert answer.status_code == 422
    assert set((await answer.get_json())["error"]["fields"]) == {"name", "phone"}


async def test_what_a_person_types_is_text_wherever_it_is_shown(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    name = f"{EVIL}\"'>{{{{ 7*7 }}}}"

    assert await save(client, name=name) == 303
    refused = await client.post("/account", form={"name": name, "phone": EVIL})

    for shown in (await page(client), await page(client, "/account"), await refused.get_data(as_text=True)):
        assert "<script>alert" not in shown
        assert "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&gt;{{ 7*7 }}" in shown


async def test_a_number_belongs_to_one_account_however_it_is_written(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    await save(client, phone=PHONE)
    bob = await a_second_person(app)

    for spelling in SPELLINGS:
        assert await refusal(bob, "phone", name="Bob", phone=spelling) == "Another account has this number."

    assert await stored(app, BOB) == (None, None)
    assert await save(client, phone=SPELLINGS[3]) == 303  # it is their own
    await save(client)
    assert await save(bob, phone=PHONE) == 303


async def test_of_many_who_want_one_number_at_once_one_gets_it(app: Quart) -> None:
    browsers = [app.test_client() for _ in range(6)]
    for number, browser in enumerate(browsers):
        await register(browser, email=f"person{number}@example.com")

    spelled = zip(browsers, SPELLINGS, strict=False)
    statuses = await asyncio.gather(*(save(browser, phone=spelling) for browser, spelling in spelled))

    assert Counter(statuses) == {303: 1, 422: 5}
    numbers = [(await stored(app, f"person{number}@example.com"))[1] for number in range(6)]
    assert Counter(numbers) == {PHONE: 1, None: 5}


async def test_two_who_exchange_their_numbers_at_once_never_share_one(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    bob = await a_second_person(app)
    await save(client, phone="+49300000001")
    await save(bob, phone="+49300000002")

    statuses = await asyncio.gather(save(client, phone="+49300000002"), save(bob, phone="+49300000001"))

    assert Counter(statuses) == {422: 2}
    assert ((await stored(app))[1], (await stored(app, BOB))[1]) == ("+49300000001", "+49300000002")


async def test_any_number_of_people_may_have_no_number(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    bob = await a_second_person(app)

    assert (await save(client), await save(bob), await save(client, name="Ada")) == (303, 303, 303)


async def test_somebody_who_saves_twice_at_once_is_saved_whole(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    whole = {"Ada": "+49300000001", "Countess": "+49300000002"}

    await asyncio.gather(*(save(client, name=name, phone=phone) for name, phone in [*whole.items()] * 3))

    name, phone = await stored(app)
    assert whole[str(name)] == phone


async def test_a_stranger_sees_nothing_and_changes_nothing(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)

    for path in ("/account", "/account/activity", "/account/delete"):
        assert (await client.get(path)).location == f"/login?next={path}"
    for path in ("/account", "/account/delete"):
        assert (await client.post(path, form={"name": "Eve", "password": PASSWORD})).location == f"/login?next={path}"

    assert await stored(app) == (None, None)


async def test_the_account_page_leads_to_all_that_can_be_done(client: TestClientProtocol) -> None:
    await register(client)

    links = re.findall(r'href="(/[^"]*)"', await page(client, "/account"))

    assert {"/change-email", "/change", "/sessions", "/account/activity", "/account/delete"} <= set(links)
    assert {(await client.get(path)).status_code for path in links} == {200}


# How often somebody may ask whether a number is taken


@pytest.fixture
async def counting(settings: dict[str, Any]) -> AsyncIterator[Quart]:
    """Return an app that counts numbers as it does unless told otherwise."""
    limit = {"THROTTLE_PHONES_PER_ACCOUNT": DEFAULTS["THROTTLE_PHONES_PER_ACCOUNT"]}
    async with serving(settings | limit) as app:
        yield app


def numbers(first: int, count: int) -> list[str]:
    return [f"+4930{number:08}" for number in range(first, first + count)]


async def test_ten_numbers_may_be_tried_in_an_hour_taken_ones_too(counting: Quart, moved_clock: MovedClock) -> None:
    client, bob = counting.test_client(), await a_second_person(counting)
    await register(client)
    await save(client, phone=PHONE)

    tried = [*numbers(1, 9), PHONE, *numbers(10, 2)]
    assert [await save(bob, phone=number) for number in tried] == [*[303] * 9, 422, 429, 429]
    assert (await stored(counting, BOB))[1] == tried[8]

    assert await save(client, phone=tried[11]) == 303  # nobody pays for another
    moved_clock.forward(timedelta(hours=1))
    assert await save(bob, phone=tried[10]) == 303


async def test_of_many_numbers_at_once_ten_are_looked_at(counting: Quart) -> None:
    client = counting.test_client()
    await register(client)

    statuses = await asyncio.gather(*(save(client, phone=number) for number in numbers(1, 16)))

    assert Counter(statuses) == {303: 10, 429: 6}


async def test_a_name_is_changed_as_often_as_somebody_likes(counting: Quart) -> None:
    client = counting.test_client()
    await register(client)
    await save(client, phone=PHONE)

    assert {await save(client, phone=PHONE, name=f"Ada {number}") for number in range(12)} == {303}
    assert {await save(client, phone="nonsense") for _ in range(12)} == {422}  # which asks nobody
    assert await save(client, phone=numbers(1, 1)[0]) == 303


# What happened


async def test_activity_tells_what_and_when_and_from_where(
    app: Quart, client: TestClientProtocol, moved_clock: MovedClock
) -> None:
    await register(client)
    moved_clock.forward(timedelta(minutes=5))
    here, headers = {"client": ("192.0.2.7", 4711)}, {"User-Agent": FIREFOX}
    typed = {"email": EMAIL, "password": PASSWORD}
    await client.post("/login", form=typed, headers=headers, scope_base=here)

    newest, oldest = await lines_of(client)

    at = " ".join(moment_in_words(clock.now()).split())
    assert newest == f"{EVENTS['logged_in']} {at} · Firefox on Linux · 192.0.2.7"
    assert oldest.startswith(EVENTS["signed_up"])
    assert f'datetime="{clock.now().isoformat()}"' in await page(client, "/account/activity")


async def test_a_change_of_the_number_is_told_and_of_the_name_is_not(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    before = len(await lines_of(client))

    await save(client, name="Ada")
    await save(client, name="Ada", phone="nonsense")
    assert len(await lines_of(client)) == before

    for phone in (PHONE, SPELLINGS[3], ""):
        await save(client, phone=phone)
    assert [row.event for row in await happened(app)][:3] == ["phone_changed", "phone_changed", "signed_up"]


async def test_everybody_sees_what_happened_to_themselves_alone(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    bob = await a_second_person(app)
    await save(bob, phone=PHONE)
    await change_password(bob)

    assert [words_of(line) for line in await lines_of(client)] == [EVENTS["signed_up"]]
    told = [words_of(line) for line in await lines_of(bob)]
    assert told == [EVENTS[name] for name in ("password_changed", "phone_changed", "signed_up")]


async def test_the_newest_hundred_are_shown_the_newest_first_also_within_a_second(
    app: Quart, client: TestClientProtocol, moved_clock: MovedClock
) -> None:
    await register(client)
    user_id = (await happened(app))[0].user_id
    await execute(app, insert(UserEvent).values([an_event(user_id, f"event {number}") for number in range(120)]))

    told = [" ".join(line.split()[:2]) for line in await lines_of(client)]

    assert told == [f"event {number}" for number in range(119, 19, -1)]


def an_event(user_id: int, name: str, **more: Any) -> dict[str, Any]:
    now = clock.now()
    return {"user_id": user_id, "event": name, "ip": "", "user_agent": "", "created_on": now, "expires_on": now} | more


async def test_whatever_stands_in_an_event_is_shown_as_text(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    user_id = (await happened(app))[0].user_id
    evil = an_event(user_id, EVIL, ip="<b>192.0.2.7</b>", user_agent=f"{EVIL} Firefox/1 <i>Linux</i>")
    await execute(app, insert(UserEvent).values(evil))
    await log_in_with(client, f"{EVIL}{'x' * 300}")

    shown = await page(client, "/account/activity")

    assert not [tag for tag in ("<script>alert", "<b>", "<i>") if tag in shown]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "&lt;b&gt;192.0.2.7&lt;/b&gt;" in shown
    assert len((await happened(app))[0].user_agent) == 255


async def log_in_with(client: TestClientProtocol, user_agent: str) -> None:
    form, headers = {"email": EMAIL, "password": PASSWORD}, {"User-Agent": user_agent}
    assert (await client.post("/login", form=form, headers=headers)).status_code == 303


async def test_an_event_is_kept_for_a_year(app: Quart, client: TestClientProtocol, moved_clock: MovedClock) -> None:
    await register(client)

    (event_,) = await happened(app)

    assert timedelta(days=365) == KEPT
    assert (event_.created_on, event_.expires_on) == (clock.now(), clock.now() + timedelta(days=365))


async def test_nothing_is_told_of_what_was_not_done(app: Quart, client: TestClientProtocol) -> None:
    await register(client)

    async def fails(session: AsyncSession) -> None:
        user = await accounts.get_by_email(session, email=EMAIL)
        await activity.note(session, user.id, "password_changed", Origin("", ""))
        raise roles.UnknownRole

    async with app.app_context():
        with pytest.raises(roles.UnknownRole):
            await db.write(fails)
    await log_in(app.test_client(), password="wrong horse")

    assert [row.event for row in await happened(app)] == ["signed_up"]


async def test_what_has_happened_is_never_changed(app: Quart, client: TestClientProtocol) -> None:
    with sent_statements(app) as sent:
        await live_a_while(app, client)
        await page(client, "/account/activity")

    statements = [statement.lower() for statement in sent]
    of_events = [statement for statement in statements if re.search(r"\buser_event\b", statement)]
    assert {statement.split()[0] for statement in of_events} == {"insert", "select"}
    assert len([statement for statement in of_events if statement.startswith("insert")]) >= 12


async def test_a_life_is_told_in_words_and_only_grows(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    user_id = (await happened(app))[0].user_id
    first = await rows_of(app, user_id)
    later = app.test_client()

    await live_a_while(app, later, registered=True)

    rows = await rows_of(app, user_id)
    assert rows[: len(first)] == first
    assert {row[2] for row in rows} <= set(EVENTS)
    assert not [line for line in await lines_of(later) if re.match(r"[a-z]+_[a-z]+", line)]


async def rows_of(app: Quart, user_id: int) -> list[tuple[Any, ...]]:
    async def query(session: AsyncSession) -> list[tuple[Any, ...]]:
        theirs = select(*UserEvent.__table__.columns).where(UserEvent.user_id == user_id).order_by(UserEvent.id)
        return [tuple(row) for row in await session.execute(theirs)]

    async with app.app_context():
        return await db.read(query)


async def live_a_while(app: Quart, client: TestClientProtocol, *, registered: bool = False) -> None:
    """Do with an account what can be done with one, and end logged in to it."""
    if not registered:
        await register(client)
    await log_in(client)
    await log_in(app.test_client())
    await save(client, name="Ada", phone=PHONE)
    await client.post("/sessions/end-others")
    await client.post("/verify", form={"password": PASSWORD})
    await client.post("/change-email", form={"email": "new-ada@example.com"})
    await follow(client, await link(app, "change_email"))
    async with app.app_context():
        await db.write(accounts.confirm, email="new-ada@example.com")
        await db.write(roles.create, name="admin")
        await db.write(roles.add_to_user, email="new-ada@example.com", role_name="admin")
        await db.write(roles.delete, name="admin")
        await db.write(credentials.end_sessions, email="new-ada@example.com")
        await db.write(accounts.deactivate, email="new-ada@example.com")
        await db.write(accounts.activate, email="new-ada@example.com")
    await follow(client, await link(app, "email_changed"))
    new = {"new_password": PASSWORD, "new_password_confirm": PASSWORD}
    await follow(client, await link(app, "reset"), **new)
    assert (await log_in(client)).status_code == 303


# Every name of an event that a service writes down


def trees() -> Iterator[ast.Module]:
    for path in Path(ROOT / "src/app/services").glob("*.py"):
        yield ast.parse(path.read_text())


def takers_of_events() -> dict[str, int]:
    """Return the functions of the services that take the name of an event, and as their which argument."""
    functions = [node for tree in trees() for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)]
    names = {function.name: [argument.arg for argument in function.args.args] for function in functions}
    return {name: arguments.index("event") for name, arguments in names.items() if "event" in arguments}


def events_written() -> set[str]:
    takers, written = takers_of_events(), set[str]()
    for call in (node for tree in trees() for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if name in takers:
            argument = call.args[takers[name]]
            assert isinstance(argument, ast.Constant | ast.Name), ast.unparse(call)
            written |= {str(argument.value)} if isinstance(argument, ast.Constant) else set()
    return written


def test_every_event_that_a_service_writes_has_words() -> None:
    written = events_written()

    assert {"note", "start_over"} == set(takers_of_events())
    assert {"signed_up", "logged_in", "disowned", "email_change_undone", "role_removed"} <= written
    assert sorted(written - EVENTS.keys()) == []
    assert sorted(EVENTS.keys() - written) == []
    assert all(len(name) <= 30 for name in written)  # as the column is wide


def test_no_two_events_are_told_in_the_same_words() -> None:
    assert len(set(EVENTS.values())) == len(EVENTS)
    assert all(words[0].isupper() or words[0] == "“" for words in EVENTS.values())


def test_no_line_of_the_program_changes_an_event() -> None:
    text = "".join(path.read_text() for path in (ROOT / "src/app").rglob("*.py"))

    assert not re.findall(r"update\(\s*UserEvent|user_event\s+SET", text)
