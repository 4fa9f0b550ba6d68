"""Good-bye: an account goes with everything of theirs, or stays whole; and nobody is left inside."""

import asyncio
import itertools
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any

import pytest
from quart import Quart, Response
from quart.typing import TestClientProtocol
from sqlalchemy import event, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app import mailer
from app.config import DEFAULTS
from app.models import Mail, User, UserSession, db
from app.models.base import Base
from app.models.user_token import Purpose
from app.services import accounts, links, notices, outbox, roles
from app.services.activity import Origin
from conftest import serving
from letters_read import letters_of, link, mails
from people import EMAIL, PASSWORD, cookie_of, count, create_user, is_logged_in, log_in, page, register, thief_with
from smtp_server import MailServer
from test_sessions import MovedClock, moved_clock

__all__ = ["moved_clock"]  # a fixture

BOB = "bob@example.com"
NEW_EMAIL = "new-ada@example.com"
PHONE = "+49301234567"
TYPED = {"new_password": "another horse battery staple", "new_password_confirm": "another horse battery staple"}
FAREWELL = ("account_deleted", EMAIL)
Rows = dict[str, list[str]]


async def leave(client: TestClientProtocol, **typed: Any) -> Response:
    return await client.post("/account/delete", form={"password": PASSWORD} | typed)


async def rows(app: Quart, *, of: int | None = None, but: int | None = None) -> Rows:
    """Return the rows of every table; only those that belong to a user or name their address, or only the others."""

    def wanted(line: dict[str, Any], whose: str) -> bool:
        whose_row = line.get(whose, 0)
        theirs = whose_row in (of or -1, but or -1) or EMAIL in str(line) or NEW_EMAIL in str(line)
        return theirs if of else not theirs if but else True

    async def query(session: AsyncSession) -> Rows:
        found: Rows = {}
        for table in Base.metadata.sorted_tables:
            lines = [dict(row._mapping) for row in await session.execute(select(table))]
            whose = "id" if table.name == "user" else "user_id"
            found[table.name] = sorted(str(line) for line in lines if wanted(line, whose))
        return {name: lines for name, lines in found.items() if lines and name != "throttle"}

    async with app.app_context():
        return await db.read(query)


async def live(app: Quart, client: TestClientProtocol) -> int:
    """Fill every table with something of a person who is logged in; return the number of their account."""

    async def unit(session: AsyncSession) -> int:
        user = await accounts.get_by_email(session, email=EMAIL)
        facts = notices.circumstances(Origin("192.0.2.7", "")) | {"new_email": NEW_EMAIL}
        for purpose, template in MAILS.items():
            to = NEW_EMAIL if purpose == Purpose.CHANGE_EMAIL else None
            await links.mail(session, user, purpose, template, email=to, facts=facts)
        await roles.create(session, name="admin")
        await roles.add_to_user(session, email=EMAIL, role_name="admin")
        return user.id

    await client.post("/account", form={"name": "Ada", "phone": PHONE})
    async with app.app_context():
        return await db.write(unit)


MAILS = {
    Purpose.CONFIRM: "confirm",
    Purpose.RESET: "reset",
    Purpose.CHANGE_EMAIL: "change_email",
    Purpose.UNDO_EMAIL: "email_changed",
    Purpose.NOT_ME: "password_changed",
}


async def outbox_of(app: Quart) -> list[tuple[str, str]]:
    return [(mail.template, mail.recipient) for mail in await mails(app)]


async def test_a_person_leaves_and_is_told_so(
    app: Quart, client: TestClientProtocol, log: pytest.LogCaptureFixture
) -> None:
    await register(client)
    assert f"about <strong>{EMAIL}</strong> is deleted at once" in await page(client, "/account/delete")

    answer = await leave(client)

    assert (answer.status_code, answer.location) == (303, "/")
    shown = await page(client)
    assert "Your account is deleted, with everything in it." in shown
    assert "You are not logged in." in shown
    assert await count(app, User) == 0
    assert re.search(r"account_deleted request=\w+ user=\d+$", log.text, re.MULTILINE)


async def test_everything_of_theirs_goes_and_nothing_of_anybody_else(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    user_id = await live(app, client)
    bob = app.test_client()
    await register(bob, email=BOB)
    await app.test_client().post("/reset", form={"email": BOB})
    async with app.app_context():
        await db.write(roles.add_to_user, email=BOB, role_name="admin")
        await deliver_all(app)
    others = await rows(app, but=user_id)
    assert set(others) >= {"user", "user_session", "user_token", "user_event", "user_role", "mail", "role"}

    assert (await leave(client)).status_code == 303

    assert await outbox_of(app) == [("reset", BOB), FAREWELL]
    assert [len(lines) for lines in (await rows(app, of=user_id)).values()] == [1]
    assert await rows(app, but=user_id) == others
    assert await is_logged_in(bob)


async def test_every_table_that_knows_a_person_is_among_those_that_are_looked_at(
    app: Quart, client: TestClientProtocol
) -> None:
    await register(client)
    user_id = await live(app, client)

    knowing = {table.name for table in Base.metadata.sorted_tables if "user_id" in table.columns}

    assert set(await rows(app, of=user_id)) == knowing | {"user"}
    for table in Base.metadata.sorted_tables:
        for key in table.foreign_keys:
            assert key.ondelete == "CASCADE", key


async def deliver_all(app: Quart) -> None:
    """Have every mail in the outbox come to rest."""
    while any(mail.due_on for mail in await mails(app)):
        await mailer.deliver_some()


async def test_the_mail_that_says_good_bye_tells_nothing_but_that(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    await live(app, client)

    await leave(client)

    (mail,) = await mails(app)
    (letter,) = await letters_of(app)
    assert (mail.template, mail.recipient, mail.user_id) == ("account_deleted", EMAIL, None)
    assert (mail.facts, mail.secret, mail.purpose) == ({}, None, None)
    assert mail.expires_on - mail.created_on == timedelta(days=5)
    assert letter.subject == "Your account is deleted"
    assert letter.link is None


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer().running() as running:
        yield running


async def test_what_was_to_be_sent_is_not_sent_any_more_but_the_good_bye_is(
    settings: dict[str, Any], server: MailServer
) -> None:
    server.to_recipient = "451 Later"
    async with serving(settings | server.settings) as app:
        client = app.test_client()
        await register(client)
        await live(app, client)
        app.extensions["mailer"].woken.set()
        await until(app, lambda waiting: waiting and not [mail for mail in waiting if not mail.error])
        server.to_recipient = "250 OK"
        assert (await leave(client)).status_code == 303
        await until(app, lambda waiting: not waiting)  # what said good-bye leaves no trace there

    assert [(str(mail["To"]), str(mail["Subject"])) for mail in server.messages] == [(EMAIL, "Your account is deleted")]


async def until(app: Quart, come: Callable[[list[Mail]], object]) -> None:
    """Wait until the outbox is as expected."""
    async with asyncio.timeout(10):
        for found in iter(lambda: mails(app), None):
            if come(await found):
                break
            await asyncio.sleep(0.02)


# The password, and when it was shown last


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"password": "wrong horse"}, "This is not your password."),
        ({"password": PASSWORD + " "}, "This is not your password."),
        ({"password": PASSWORD[:-1]}, "This is not your password."),
        ({"password": "the password of bob"}, "This is not your password."),
        ({"password": ""}, "Enter your password."),
        ({"password": "x" * 4097}, "This password is too long."),
    ],
    ids=lambda what: str(what)[:40],
)
async def test_without_the_password_nothing_goes(
    app: Quart, client: TestClientProtocol, typed: dict[str, str], said: str
) -> None:
    await create_user(app, BOB, "the password of bob")
    await register(client)
    before = await rows(app)

    answer = await leave(client, **typed)

    assert answer.status_code == 422
    shown = await answer.get_data(as_text=True)
    assert f'id="password-error" class="error">{said}<' in shown
    assert typed["password"] not in shown or not typed["password"]
    assert await rows(app) == before
    assert await is_logged_in(client)


async def test_it_takes_a_recent_log_in_besides(
    app: Quart, client: TestClientProtocol, moved_clock: MovedClock
) -> None:
    await register(client)

    moved_clock.forward(timedelta(minutes=20, seconds=1))
    opened, sent = await client.get("/account/delete"), await leave(client)

    assert (opened.location, sent.location) == ("/verify?next=/account/delete",) * 2
    assert await count(app, User) == 1
    program = await client.post("/account/delete", form={"password": PASSWORD}, headers={"Accept": "application/json"})
    assert program.status_code == 401

    await client.post("/verify", form={"password": PASSWORD})
    assert (await leave(client)).status_code == 303
    assert await count(app, User) == 0


@pytest.fixture
async def counting(settings: dict[str, Any]) -> AsyncIterator[Quart]:
    """Return an app that counts wrong passwords as it does unless told otherwise."""
    key = "THROTTLE_WRONG_PASSWORDS_PER_ACCOUNT"
    async with serving(settings | {key: DEFAULTS[key]}) as app:
        yield app


async def test_a_thief_at_an_open_browser_may_not_guess(counting: Quart) -> None:
    client = counting.test_client()
    await register(client)

    tries = await asyncio.gather(*(leave(client, password=f"guess {number}") for number in range(12)))

    assert Counter(answer.status_code for answer in tries) == {422: 5, 429: 7}
    assert (await leave(client)).status_code == 429
    assert await count(counting, User) == 1


async def test_nobody_inherits_anything_from_an_account_that_is_gone(counting: Quart) -> None:
    client, newcomer = counting.test_client(), counting.test_client()
    await register(client)
    for number in range(5):
        assert (await leave(client, password=f"guess {number}")).status_code == 422
    async with counting.app_context():
        await db.write(accounts.delete_by_email, email=EMAIL)

    await register(newcomer, email=BOB)

    assert (await leave(newcomer, password="a slip of the finger")).status_code == 422
    assert (await leave(newcomer)).status_code == 303


async def test_the_number_of_an_account_is_never_given_again(app: Quart, client: TestClientProtocol) -> None:
    first = await create_user(app)
    async with app.app_context():
        await db.write(accounts.delete_by_email, email=EMAIL)

    assert (await create_user(app)).id != first.id  # the log, and requests under way, mean the other one


# All or nothing


@asynccontextmanager
async def deletions_failing_at_the_end(app: Quart) -> AsyncIterator[None]:
    """Have the database say no when the row of a user has just gone, with all that hangs on it."""
    engine = app.extensions["db"]
    says_no = "SELECT RAISE(ABORT, 'no')" if engine.dialect.name == "sqlite" else "SIGNAL SQLSTATE '45000'"
    async with engine.begin() as connection:
        await connection.execute(
            text(f"CREATE TRIGGER no AFTER DELETE ON user FOR EACH ROW BEGIN {says_no}; END")  # one word is ours
        )
    try:
        yield
    finally:
        async with engine.begin() as connection:
            await connection.execute(text("DROP TRIGGER no"))


async def test_a_deletion_that_fails_leaves_everything(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    await live(app, client)
    async with app.app_context():
        await deliver_all(app)
    before = await rows(app)

    async with deletions_failing_at_the_end(app):
        answer = await leave(client)

    assert answer.status_code in (500, 503)
    assert await rows(app) == before
    assert await is_logged_in(client)
    assert (await leave(client)).status_code == 303


async def test_a_deletion_whose_client_goes_away_in_the_middle_is_done_whole(
    app: Quart, client: TestClientProtocol
) -> None:
    await register(client)
    user_id = await live(app, client)

    leaving = asyncio.create_task(leave(client))
    with noted(app) as statements:
        async with asyncio.timeout(5):
            for _ in itertools.takewhile(lambda _: "DELETE FROM mail" not in "".join(statements), itertools.count()):
                await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait({leaving})

    assert set(await rows_at_rest(app, of=user_id)) == {"mail"}
    assert await outbox_of(app) == [FAREWELL]
    assert not await is_logged_in(client)


async def rows_at_rest(app: Quart, *, of: int) -> Rows:
    """Return what is left of a user when it does not change any more."""
    before, now = None, await rows(app, of=of)
    while before != now:
        await asyncio.sleep(0.1)
        before, now = now, await rows(app, of=of)
    return now


# Somebody else does something at the same moment


async def nobody_is_inside(app: Quart, user_id: int) -> bool:
    """Say whether nothing is left of an account but the mail that says good-bye."""
    left = await rows(app, of=user_id)
    return set(left) <= {"mail"} and await outbox_of(app) == [FAREWELL]


async def test_log_ins_that_race_a_deletion_leave_nobody_inside(app: Quart, client: TestClientProtocol) -> None:
    user = await create_user(app)
    await log_in(client)
    guests = [app.test_client() for _ in range(10)]

    left, *answers = await asyncio.gather(leave(client), *(log_in(guest) for guest in guests))

    assert left.status_code == 303
    assert {answer.status_code for answer in answers} <= {303, 422}
    assert not any([await is_logged_in(guest) for guest in guests])
    assert await nobody_is_inside(app, user.id)


async def test_of_many_who_delete_one_account_at_once_one_does(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    user_id = await live(app, client)
    browsers = [thief_with(app, cookie_of(client)) for _ in range(6)]

    answers = await asyncio.gather(*(leave(browser) for browser in browsers))

    places = Counter((answer.status_code, answer.location) for answer in answers)
    assert places.pop((303, "/")) == 1
    assert set(places) <= {(422, None), (303, "/login?next=/account/delete")}
    assert await nobody_is_inside(app, user_id)


async def while_deleted(app: Quart, other: Awaitable[Response], log: pytest.LogCaptureFixture) -> Response:
    """Begin a deletion, have another request come to the point where it waits for it, end it; return the answer."""
    app.extensions["mailer"].woken.set()
    await until(app, lambda mails: not any(mail.due_on for mail in mails))  # else it may be the mailer that waits
    async with AsyncSession(app.extensions["db"]) as session, session.begin():
        await session.connection()
        await accounts.delete_by_email(session, email=EMAIL)
        answering = asyncio.ensure_future(other)
        with noted(app) as statements:
            for _ in range(40):  # less than anybody waits for a lock
                if answering.done() or await somebody_waits(app, statements):
                    break
                await asyncio.sleep(0.02)
    answer = await answering
    assert "crashed" not in log.text
    return answer


@contextmanager
def noted(app: Quart) -> Iterator[list[str]]:
    """Note what the database is told."""
    engine, statements = app.extensions["db"].sync_engine, list[str]()

    def note(*told: Any) -> None:
        statements.append(told[2])

    event.listen(engine, "before_cursor_execute", note)
    yield statements
    event.remove(engine, "before_cursor_execute", note)


async def somebody_waits(app: Quart, statements: list[str]) -> bool:
    """Say whether a request waits for a lock."""
    engine = app.extensions["db"]
    if engine.dialect.name == "sqlite":
        return "BEGIN IMMEDIATE" in statements
    async with engine.connect() as connection:
        row = (await connection.execute(text("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'"))).one()
    return int(row[1]) > 0


OF_A_PERSON: dict[str, tuple[str, dict[str, str]]] = {
    "saves name and phone": ("/account", {"name": "Ada", "phone": PHONE}),
    "saves the name": ("/account", {"name": "Ada", "phone": ""}),
    "logs out": ("/logout", {}),
    "ends other log-ins": ("/sessions/end-others", {}),
    "ends one log-in": ("/sessions/{other}/end", {}),
    "shows the password": ("/verify", {"password": PASSWORD}),
    "changes the password": ("/change", {"password": PASSWORD} | TYPED),
    "wants another address": ("/change-email", {"email": NEW_EMAIL}),
    "deletes it too": ("/account/delete", {"password": PASSWORD}),
}


@pytest.mark.parametrize("what", OF_A_PERSON)
async def test_whatever_a_person_does_while_their_account_goes_away_brings_nothing_back(
    app: Quart, client: TestClientProtocol, log: pytest.LogCaptureFixture, what: str
) -> None:
    user = await create_user(app)
    await log_in(client)
    path, typed = OF_A_PERSON[what]
    other = await other_session(app)

    answer = await while_deleted(app, client.post(path.format(other=other), form=typed), log)

    assert answer.status_code in (303, 404, 422)
    assert not await is_logged_in(client)
    assert await nobody_is_inside(app, user.id)


async def other_session(app: Quart) -> int:
    """Log in once more, and return which log-in that is."""
    await log_in(app.test_client())

    async def newest(session: AsyncSession) -> int:
        return (await session.scalars(select(UserSession.id).order_by(UserSession.id.desc()))).first() or 0

    async with app.app_context():
        return await db.read(newest)


OF_A_STRANGER: dict[str, tuple[str, dict[str, str]]] = {
    "logs in": ("/login", {"email": EMAIL, "password": PASSWORD}),
    "guesses": ("/login", {"email": EMAIL, "password": "wrong horse"}),
    "asks for a reset": ("/reset", {"email": EMAIL}),
    "asks to confirm it": ("/confirm", {"email": EMAIL}),
    "registers, where addresses are confirmed": (
        "/register",
        {"email": EMAIL, "password": PASSWORD, "password_confirm": PASSWORD},
    ),
}


@pytest.mark.parametrize("what", OF_A_STRANGER)
async def test_whatever_a_stranger_does_while_an_account_goes_away_brings_nothing_back(
    settings: dict[str, Any], log: pytest.LogCaptureFixture, what: str
) -> None:
    path, typed = OF_A_STRANGER[what]
    async with serving(settings | {"SECURITY_CONFIRMABLE": "confirm" in what}) as app:
        user, client = await create_user(app), app.test_client()

        answer = await while_deleted(app, client.post(path, form=typed), log)

        assert answer.status_code in (303, 422)
        assert not await is_logged_in(client)
        if path != "/register":
            assert await nobody_is_inside(app, user.id)


async def test_a_stranger_who_wants_the_address_while_it_goes_away_writes_to_nobody(
    app: Quart, client: TestClientProtocol, log: pytest.LogCaptureFixture
) -> None:
    user = await create_user(app)
    await register(client, email=BOB)

    answer = await while_deleted(app, client.post("/change-email", form={"email": EMAIL}), log)

    assert answer.status_code == 303
    assert set(await rows(app, of=user.id)) <= {"mail", "user_token"}
    assert {mail.user_id for mail in await mails(app)} <= {None, (await bob_of(app)).id}


async def bob_of(app: Quart) -> User:
    async with app.app_context():
        return await db.read(accounts.get_by_email, email=BOB)


@pytest.mark.parametrize("purpose", list(Purpose))
async def test_a_link_that_is_pressed_while_the_account_goes_away_does_nothing(
    settings: dict[str, Any], log: pytest.LogCaptureFixture, purpose: Purpose
) -> None:
    async with serving(settings | {"SECURITY_CONFIRMABLE": purpose == Purpose.CONFIRM}) as app:
        client = app.test_client()
        user = await create_user(app)
        async with app.app_context():
            await db.write(accounts.confirm, email=EMAIL)
        await log_in(client)
        await live(app, client)
        path = await link(app, MAILS[purpose])

        answer = await while_deleted(app, client.post(path, form=TYPED), log)

        assert answer.status_code == 404
        assert not await is_logged_in(client)
        assert await nobody_is_inside(app, user.id)


@pytest.mark.parametrize("purpose", [Purpose.RESET, Purpose.CHANGE_EMAIL])
async def test_links_and_deletions_that_race_for_real_leave_the_account_whole_or_gone(
    app: Quart, client: TestClientProtocol, log: pytest.LogCaptureFixture, purpose: Purpose
) -> None:
    await register(client)
    user_id = await live(app, client)
    path = await link(app, MAILS[purpose])
    browsers = [thief_with(app, cookie_of(client)) for _ in range(4)]

    pressing = [browser.post(path, form=TYPED) for browser in browsers]
    left, *answers = await asyncio.gather(leave(client), *pressing)

    assert "crashed" not in log.text
    assert Counter(answer.status_code for answer in answers)[303] <= 4
    if left.location == "/" and left.status_code == 303:
        assert await count(app, User) + await count(app, UserSession) == 0
        assert set(await rows(app, of=user_id)) <= {"mail"}
        assert {mail.template for mail in await mails(app)} == {"account_deleted"}
    else:
        assert await count(app, User) == 1
        assert "account_deleted" not in {mail.template for mail in await mails(app)}


# Afterwards


async def test_the_cookie_is_taken_away_and_every_copy_is_dead(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    elsewhere = app.test_client()
    await log_in(elsewhere)
    thief = thief_with(app, cookie_of(client))

    answer = await leave(client)

    taken = [cookie for cookie in answer.headers.getlist("Set-Cookie") if cookie.startswith("auth=")]
    assert [cookie.split(";")[0] for cookie in taken] == ["auth="]
    assert "Max-Age=0" in taken[0]
    assert not any([await is_logged_in(browser) for browser in (client, elsewhere, thief)])
    assert (await elsewhere.get("/account")).location == "/login?next=/account"


async def test_the_address_and_the_number_may_be_used_again_and_bring_nothing_back(
    app: Quart, client: TestClientProtocol
) -> None:
    await register(client)
    await live(app, client)
    thief, path = thief_with(app, cookie_of(client)), await link(app, "reset")
    await leave(client)

    newcomer = app.test_client()
    assert (await register(newcomer)).status_code == 303
    assert (await newcomer.post("/account", form={"name": "", "phone": PHONE})).status_code == 303

    assert not await is_logged_in(thief)
    assert (await app.test_client().get(path)).status_code == 404
    async with app.app_context():
        user = await db.read(accounts.get_by_email, email=EMAIL)
    assert (user.name, list(user.roles)) == (None, [])
    assert "reset" not in {mail.template for mail in await mails(app)}


async def test_a_former_address_that_was_kept_for_the_account_is_free_too(
    app: Quart, client: TestClientProtocol
) -> None:
    await register(client)
    await client.post("/change-email", form={"email": NEW_EMAIL})
    assert (await client.post(await link(app, "change_email"))).status_code == 303
    assert (await register(app.test_client())).status_code == 422

    assert (await leave(client)).status_code == 303

    assert (await register(app.test_client())).status_code == 303
    assert (await register(app.test_client(), email=NEW_EMAIL)).status_code == 303


async def test_a_mail_that_is_on_its_way_when_the_account_goes_leaves_nothing_behind(
    app: Quart, client: TestClientProtocol
) -> None:
    await register(client)
    async with app.app_context():
        await db.write(post_something)
        ((id_, tries),) = await db.read(outbox.due, most=1)
        mail = await db.write(outbox.claim, id_, tries=tries)
        assert mail is not None
        await leave(client)

        for verb in (outbox.mark_sent, outbox.give_up):
            await db.write(verb, mail)
        await db.write(outbox.put_off, mail, error="later")

    assert await outbox_of(app) == [FAREWELL]


async def post_something(session: AsyncSession) -> None:
    user = await accounts.get_by_email(session, email=EMAIL)
    await outbox.post(session, "welcome", user)
