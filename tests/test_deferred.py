"""What a unit of work writes last: with its COMMIT, or not at all."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import CompileError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Role, User, db
from app.models.deferred import defer
from app.models.races import LostRace
from people import change_password, create_user, log_in, register
from wire import Wire

NASTY = "100%s; DELETE FROM user; -- ' \" \\ %(a)s :name ? \N{WINKING FACE}"
ADD = insert(Role.__table__)
RENAME = update(User.__table__)


@pytest.fixture
async def wire(app: Quart, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Wire]:
    await app.extensions["mailer"].stop()
    await create_user(app, name="-")
    (wire := Wire()).listen(monkeypatch)
    async with app.app_context():
        yield wire


async def roles(session: AsyncSession) -> list[str]:
    return list(await session.scalars(select(Role.name).order_by(Role.id)))


async def name(session: AsyncSession) -> str | None:
    return await session.scalar(select(User.name))


async def test_it_runs_in_its_order_and_after_all_that_was_not_deferred(wire: Wire) -> None:
    async def write(session: AsyncSession) -> None:
        await defer(session, RENAME, {"name": "first"})
        await defer(session, RENAME, {"name": "second"})
        await defer(session, ADD, {"name": "deferred"})
        session.add(Role(name="not deferred"))

    await db.write(write)
    assert await db.read(roles) == ["not deferred", "deferred"]
    assert await db.read(name) == "second"


async def test_the_database_is_asked_once_for_all_of_it(wire: Wire) -> None:
    async def write(session: AsyncSession) -> None:
        await defer(session, RENAME, {"name": NASTY})
        await defer(session, ADD, {"name": "one"})
        await defer(session, ADD, {"name": "two"})

    await db.write(write)

    asked = wire.trips or wire.asked
    assert len(asked) == 1
    assert asked[0].endswith("; COMMIT")
    assert await db.read(name) == NASTY
    assert await db.read(roles) == ["one", "two"]


async def test_a_unit_that_fails_before_its_end_writes_none_of_it(wire: Wire) -> None:
    async def write_and_fail(session: AsyncSession) -> None:
        await defer(session, ADD, {"name": "lost"})
        raise LookupError

    with pytest.raises(LookupError):
        await db.write(write_and_fail)
    await db.write(roles)  # with the same connection
    assert await db.read(roles) == []


@pytest.mark.parametrize("changes_first", [True, False])
@pytest.mark.parametrize("wrong", [{"name": "twice"}, {"name": "\ud800"}])
async def test_where_one_fails_the_whole_unit_does_and_the_next_begins_anew(
    wire: Wire, wrong: dict[str, str], *, changes_first: bool
) -> None:
    async def write(session: AsyncSession) -> None:
        if changes_first:
            await session.execute(text("UPDATE user SET name = 'undone'"))
        await defer(session, ADD, {"name": "twice"})
        await defer(session, ADD, wrong)
        await defer(session, ADD, {"name": "behind it"})

    with pytest.raises((IntegrityError, UnicodeEncodeError)):
        await db.write(write)
    await db.write(roles)
    assert await db.read(roles) == []
    assert await db.read(name) == "-"


async def test_where_one_makes_no_sense_those_before_it_are_not_left_to_the_next_unit(wire: Wire) -> None:
    async def write(session: AsyncSession) -> None:
        await defer(session, ADD, {"name": "lost"})
        await defer(session, ADD.values(nonsense=1), {"name": "nonsense"})

    with pytest.raises(CompileError):
        await db.write(write)
    await db.write(roles)
    assert await db.read(roles) == []


async def test_what_is_run_again_writes_it_once(wire: Wire) -> None:
    tries: list[AsyncSession] = []

    async def write(session: AsyncSession) -> None:
        await defer(session, ADD, {"name": f"of try {len(tries)}"})
        tries.append(session)
        if len(tries) == 1:
            raise LostRace

    await db.write(write)
    assert await db.read(roles) == ["of try 1"]


async def test_outside_of_a_unit_it_runs_at_once(app: Quart, wire: Wire) -> None:
    await db.write(roles)
    async with AsyncSession(app.extensions["db"]) as session:
        await defer(session, ADD, {"name": "one"})
        await defer(session, ADD, {"name": "two"})
        assert await roles(session) == ["one", "two"]
    assert await db.read(roles) == []


@pytest.mark.parametrize("database_uri", ["mariadb"], indirect=True)
async def test_a_lock_that_is_held_for_too_long_has_the_unit_run_again(app: Quart, wire: Wire) -> None:
    async def write(session: AsyncSession) -> None:
        await defer(session, ADD, {"name": "late"})
        await defer(session, RENAME, {"name": "Countess"})

    async with app.extensions["db"].connect() as other:
        await other.execute(text("SELECT name FROM user FOR UPDATE"))
        writing = asyncio.create_task(db.write(write))
        await asyncio.sleep(1.5)  # longer than a statement waits for a lock
        assert not writing.done()
    await writing

    assert sum("late" in asked for asked in wire.asked) > 1
    assert await db.read(roles) == ["late"]
    assert await db.read(name) == "Countess"


@pytest.mark.parametrize("database_uri", ["mariadb"], indirect=True)
async def test_what_waits_for_a_lock_past_its_deadline_is_not_written_once_the_lock_is_free(
    app: Quart, client: TestClientProtocol
) -> None:
    await register(client)
    app.extensions["db_timeout"] = 0.5

    async with app.extensions["db"].connect() as other:
        await other.execute(text("SELECT id FROM user_session FOR UPDATE"))
        changing = asyncio.create_task(change_password(client))
        await asyncio.sleep(0.8)  # past the deadline, and not as long as the server waits for a lock
    assert (await changing).status_code == 503

    app.extensions["db_timeout"] = 4
    assert (await log_in(app.test_client())).status_code == 303
