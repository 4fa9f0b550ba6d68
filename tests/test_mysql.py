"""A server hears BEGIN along with the first statement, so that nobody waits for it alone."""

from collections.abc import Awaitable, Callable

import pytest
from quart import Quart
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import User, UserEvent, clock, db
from app.services import activity
from people import count, create_user
from wire import Wire

pytestmark = pytest.mark.parametrize("database_uri", ["mariadb"], indirect=True)
NASTY = "100%s; DELETE FROM user; -- ' \" \\ %(a)s \N{WINKING FACE}"
RENAME = text("UPDATE user SET name = :name")


@pytest.fixture
async def wire(app: Quart, monkeypatch: pytest.MonkeyPatch) -> Wire:
    await app.extensions["mailer"].stop()
    await create_user(app, name="-")
    (wire := Wire()).listen(monkeypatch)
    return wire


async def name_of_ada(session: AsyncSession) -> str | None:
    return await session.scalar(select(User.name))


async def name_after_giving_up(app: Quart, verb: Callable[[AsyncSession], Awaitable[None]]) -> str | None:
    """Run a unit that raises LookupError after a verb, and return what is written then."""

    async def give_up(session: AsyncSession) -> None:
        await verb(session)
        raise LookupError

    async with app.app_context():
        with pytest.raises(LookupError):
            await db.write(give_up)
        return await db.read(name_of_ada)


async def test_the_first_statement_is_in_the_transaction_and_as_it_was_meant(app: Quart, wire: Wire) -> None:
    async def rename(session: AsyncSession) -> None:
        await session.execute(RENAME, {"name": NASTY})

    async def rename_again(session: AsyncSession) -> None:
        await session.execute(RENAME, {"name": "undone"})

    async with app.app_context():
        await db.write(rename)
    assert len(wire.asked) == 2
    assert await name_after_giving_up(app, rename_again) == NASTY


async def test_nothing_is_begun_for_a_unit_that_does_nothing(app: Quart, wire: Wire) -> None:
    async def do_nothing(session: AsyncSession) -> None:
        pass

    async with app.app_context():
        await db.write(do_nothing)
        assert wire.asked == []

        await db.read(name_of_ada)
    assert wire.kinds == ["SELECT user"]


async def test_what_cannot_be_sent_does_not_leave_the_rest_without_a_transaction(app: Quart, wire: Wire) -> None:
    async def stumble(session: AsyncSession) -> None:
        with pytest.raises(UnicodeEncodeError):
            await session.execute(RENAME, {"name": "\ud800"})
        await session.execute(RENAME, {"name": "undone"})

    assert await name_after_giving_up(app, stumble) == "-"


async def test_many_rows_at_once_are_written_in_the_transaction(app: Quart, wire: Wire) -> None:
    async def note_twice(session: AsyncSession) -> None:
        user_id = await session.scalar(select(User.id))
        await session.commit()  # what comes now is the first statement of another one
        when = {"created_on": clock.now(), "expires_on": clock.now()}
        row = when | {"user_id": user_id, "event": "verified", "ip": "", "user_agent": ""}
        await session.execute(activity.ADD, [row] * 2)

    await name_after_giving_up(app, note_twice)
    assert await count(app, UserEvent, UserEvent.event == "verified") == 0


async def test_a_stream_is_in_the_transaction_too(app: Quart, wire: Wire) -> None:
    async def look(session: AsyncSession) -> object:
        return await (await session.stream(text("SELECT @@in_transaction"))).scalar_one()

    async with app.app_context():
        assert await db.write(look) == 1
