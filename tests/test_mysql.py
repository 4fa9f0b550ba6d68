"""A server hears BEGIN along with the first statement, so that nobody waits for it alone."""

import pytest
from quart import Quart
from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import User, UserEvent, clock, db
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


async def test_the_first_statement_is_in_the_transaction_and_as_it_was_meant(app: Quart, wire: Wire) -> None:
    async def rename(session: AsyncSession) -> None:
        await session.execute(RENAME, {"name": NASTY})

    async def rename_and_fail(session: AsyncSession) -> None:
        await session.execute(RENAME, {"name": "undone"})
        raise LookupError

    async with app.app_context():
        await db.write(rename)
        assert len(wire.asked) == 2
        with pytest.raises(LookupError):
            await db.write(rename_and_fail)
        assert await db.read(name_of_ada) == NASTY


async def test_nothing_is_begun_for_a_unit_that_does_nothing(app: Quart, wire: Wire) -> None:
    async def do_nothing(session: AsyncSession) -> None:
        pass

    async with app.app_context():
        await db.write(do_nothing)
        assert wire.asked == []

        await db.read(name_of_ada)
    assert wire.kinds == ["SELECT user"]


async def test_what_cannot_be_sent_does_not_leave_the_rest_without_a_transaction(app: Quart, wire: Wire) -> None:
    async def stumble_and_fail(session: AsyncSession) -> None:
        with pytest.raises(UnicodeEncodeError):
            await session.execute(RENAME, {"name": "\ud800"})
        await session.execute(RENAME, {"name": "undone"})
        raise LookupError

    async with app.app_context():
        with pytest.raises(LookupError):
            await db.write(stumble_and_fail)
        assert await db.read(name_of_ada) == "-"


async def test_many_rows_at_once_are_written_in_the_transaction(app: Quart, wire: Wire) -> None:
    async def note_twice_and_fail(session: AsyncSession) -> None:
        user_id = await session.scalar(select(User.id))
        await session.commit()  # what comes now is the first statement of another one
        now = clock.now()
        row = {
            "user_id": user_id,
            "event": "verified",
            "created_on": now,
            "expires_on": now,
            "ip": "",
            "user_agent": "",
        }
        await session.execute(insert(UserEvent.__table__), [row] * 2)
        raise LookupError

    async with app.app_context():
        with pytest.raises(LookupError):
            await db.write(note_twice_and_fail)
    assert await count(app, UserEvent, UserEvent.event == "verified") == 0


async def test_a_stream_is_in_the_transaction_too(app: Quart, wire: Wire) -> None:
    async def look_and_rename(session: AsyncSession) -> None:
        async for _ in await session.stream(select(User.id).with_for_update()):
            pass
        await session.execute(RENAME, {"name": "undone"})
        raise LookupError

    async with app.app_context():
        with pytest.raises(LookupError):
            await db.write(look_and_rename)
        assert await db.read(name_of_ada) == "-"
