"""Connections to the database: in which state a unit leaves one behind, and what happens to one that was lost."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import aiomysql  # type: ignore[import-untyped]
import pytest
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import event, insert, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool

from app.app_factory import create_app
from app.models import User, core, db
from app.models.core import DatabaseUnavailable
from app.models.engine import make_engine, places
from app.services import accounts
from conftest import serving
from mariadb_server import MariaDB
from people import EMAIL, count, create_user, is_logged_in, log_in, read, write


async def is_in_transaction(connection: AsyncConnection) -> bool:
    """Ask the database itself."""
    if connection.dialect.name == "sqlite":
        raw: Any = await connection.get_raw_connection()
        return bool(raw.driver_connection.in_transaction)
    return bool(await connection.scalar(text("SELECT @@in_transaction")))


async def look(app: Quart) -> tuple[object, bool]:
    """Return the driver's connection that comes next from the pool, and whether a transaction is open on it."""
    async with app.extensions["db"].connect() as connection:
        await connection.execution_options(writes=False)
        raw = await connection.get_raw_connection()
        return raw.driver_connection, await is_in_transaction(connection)


async def test_a_unit_that_fails_leaves_its_connection_clean(settings: dict[str, Any]) -> None:
    async def register_and_fail(session: AsyncSession) -> None:
        await accounts.register(session, email=EMAIL, password_hash=None)
        assert await is_in_transaction(await session.connection())
        raise LookupError

    settings["SQLALCHEMY_ENGINE_OPTIONS"] = {"pool_size": 1, "max_overflow": 0}
    async with serving(settings) as app, app.app_context():
        await app.extensions["mailer"].stop()
        before, _ = await look(app)
        with pytest.raises(LookupError):
            await db.write(register_and_fail)
        assert await look(app) == (before, False)
        assert await count(app, User) == 0


async def test_a_read_opens_no_transaction_and_leaves_none(app: Quart) -> None:
    async def look_inside(session: AsyncSession) -> bool:
        await session.execute(text("SELECT 1"))
        return await is_in_transaction(await session.connection())

    async with app.app_context():
        assert not await db.read(look_inside)
        assert await db.write(look_inside)
    assert (await look(app))[1] is False


async def test_what_begins_without_saying_how_is_a_transaction(app: Quart) -> None:
    ada = {"email": EMAIL, "email_key": EMAIL, "created_on": (await create_user(app, "b@example.com")).created_on}

    async def insert_ada(*, times: int) -> None:
        async with app.extensions["db"].begin() as connection:
            for _ in range(times):
                await connection.execute(insert(User).values(ada))

    with pytest.raises(IntegrityError):
        await insert_ada(times=2)
    assert await count(app, User, User.email == EMAIL) == 0

    await insert_ada(times=1)
    assert await count(app, User, User.email == EMAIL) == 1


async def test_what_a_developer_begins_inside_a_verb_is_a_transaction_of_its_own(app: Quart) -> None:
    async def insert_and_change_ones_mind(_session: AsyncSession) -> None:
        with suppress(LookupError):
            async with app.extensions["db"].begin() as connection:
                await connection.execute(insert(User).values(email=EMAIL, email_key=EMAIL))
                raise LookupError

    async with app.app_context():
        await db.read(insert_and_change_ones_mind)
    assert await count(app, User) == 0


def kill_connections(server: MariaDB, database: str) -> int:
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM information_schema.processlist WHERE db = %s", [database])
        ids = [row[0] for row in cursor.fetchall()]
        for each in ids:
            cursor.execute(f"KILL {each}")
    return len(ids)


@pytest.mark.parametrize("database_uri", ["mariadb"], indirect=True)
async def test_a_connection_that_the_server_ended_is_replaced_and_nobody_notices(
    app: Quart, client: TestClientProtocol, mariadb: MariaDB
) -> None:
    await create_user(app)
    await log_in(client)
    await app.extensions["mailer"].stop()  # else it is the mailer who notices
    assert kill_connections(mariadb, "head") > 0
    await asyncio.sleep(0.6)  # longer than a connection is trusted

    assert await is_logged_in(client)
    assert (await client.post("/account", form={"name": "Countess"})).status_code == 303


async def test_a_verb_that_writes_starts_inside_its_transaction(app: Quart) -> None:
    """On SQLite it has waited by then for those who write, and what it sees of the clock is not from before."""

    async def has_begun(session: AsyncSession) -> bool:
        return session.in_transaction()

    async with app.app_context():
        assert await db.write(has_begun)


@pytest.fixture
async def narrow(settings: dict[str, Any]) -> AsyncIterator[Quart]:
    """A site with one connection, which gives up a unit after a second."""
    settings["SQLALCHEMY_ENGINE_OPTIONS"] = {"pool_size": 1}
    async with serving(settings) as app:
        await app.extensions["mailer"].stop()
        app.extensions["db_timeout"] = 1
        yield app


async def test_a_request_ends_when_the_work_is_done_that_goes_on_without_its_caller(app: Quart) -> None:
    done = []

    async def work(_session: AsyncSession) -> None:
        await asyncio.sleep(0.2)
        done.append("the work")

    request = asyncio.create_task(write(app, work))
    await asyncio.sleep(0.1)
    request.cancel()
    with suppress(asyncio.CancelledError):
        await request

    assert done == ["the work"]


async def test_who_wants_to_write_waits_in_line_and_loses_no_race(
    app: Quart, database_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite itself has no line: who asks in vain sleeps, and who comes later is served before."""
    monkeypatch.setattr(core, "TRIES", 1)
    wrote: list[int] = []

    async def work(session: AsyncSession, number: int) -> None:
        await session.execute(select(User.id).limit(1))
        await asyncio.sleep(0.1)
        wrote.append(number)

    await asyncio.gather(*(write(app, work, number) for number in range(14)))

    assert len(wrote) == 14
    if database_uri.startswith("sqlite"):
        assert wrote == sorted(wrote)


async def test_who_waits_to_write_is_in_the_way_of_nobody_who_reads(app: Quart) -> None:
    async def work(_session: AsyncSession) -> None:
        await asyncio.sleep(0.1)

    writing = [asyncio.create_task(write(app, work)) for _ in range(20)]
    await asyncio.sleep(0.05)
    writing[-1].cancel()  # who goes away in line leaves no place taken
    since = time.monotonic()
    await read(app, work)
    if app.extensions["db"].dialect.name == "sqlite":
        assert time.monotonic() - since < 0.5

    await asyncio.gather(*writing, return_exceptions=True)


async def test_who_goes_away_before_there_is_a_connection_lets_others_write(app: Quart) -> None:
    async def work(_session: AsyncSession) -> None:
        await asyncio.sleep(0.1)

    most = places(app.extensions["db"])
    reading = [asyncio.create_task(read(app, work)) for _ in range(most)]
    await asyncio.sleep(0.05)
    gone = asyncio.create_task(write(app, work))
    await asyncio.sleep(0.01)
    gone.cancel()

    await asyncio.gather(*reading, write(app, work))


def test_a_site_may_be_asked_in_one_loop_after_the_other(settings: dict[str, Any]) -> None:
    async def rush(site: Quart) -> None:
        await asyncio.gather(*(write(site, work, number) for number in range(20)))
        async with site.app_context():
            await db.dispose()

    async def work(session: AsyncSession, _number: int) -> None:
        await session.execute(select(User.id).limit(1))

    site = create_app(settings)
    for _ in range(2):
        asyncio.run(rush(site))


async def test_in_a_rush_nobody_is_cut_off_in_the_middle(narrow: Quart) -> None:
    """Who is cut off takes their connection along, and to make another one takes time that others need."""
    opened: list[object] = []
    began: list[int] = []
    event.listen(narrow.extensions["db"].sync_engine, "connect", lambda *_: opened.append(_))

    async def dawdle(session: AsyncSession, number: int) -> int:
        began.append(number)
        await session.execute(text("SELECT 1"))
        await asyncio.sleep(0.1)
        return number

    said = await asyncio.gather(*(read(narrow, dawdle, number) for number in range(30)), return_exceptions=True)

    served = [answer for answer in said if isinstance(answer, int)]
    assert 4 <= len(served) <= 8
    assert began == served
    assert {type(answer) for answer in said if answer not in served} == {DatabaseUnavailable}
    assert len(opened) <= 1


async def test_who_goes_away_in_line_asks_nothing_and_holds_up_nobody(narrow: Quart) -> None:
    ran: list[str] = []

    async def work(_session: AsyncSession, who: str) -> None:
        ran.append(who)
        await asyncio.sleep(0.2)

    first, gone, last = (asyncio.create_task(write(narrow, work, who)) for who in ("first", "gone", "last"))
    await asyncio.sleep(0.1)
    gone.cancel()
    await asyncio.gather(first, last)

    assert ran == ["first", "last"]
    assert gone.cancelled()


async def test_a_unit_that_ends_badly_gives_its_place_back(narrow: Quart) -> None:
    async def fail(_session: AsyncSession) -> None:
        raise LookupError

    async def dawdle(_session: AsyncSession) -> None:
        await asyncio.sleep(60)

    async with narrow.app_context():
        for verb, error in ((fail, LookupError), (dawdle, DatabaseUnavailable)):
            with pytest.raises(error):
                await db.read(verb)
        assert await db.read(accounts.find, 1) is None


@pytest.mark.parametrize(
    ("options", "most"), [({}, 15), ({"pool_size": 2}, 2), ({"pool_size": 2, "max_overflow": 3}, 5)]
)
async def test_as_many_may_work_as_there_are_connections(
    settings: dict[str, Any], options: dict[str, int], most: int
) -> None:
    settings["SQLALCHEMY_ENGINE_OPTIONS"] = options
    working = set[int]()

    async def work(_session: AsyncSession, number: int) -> None:
        working.add(number)
        await asyncio.sleep(0.2)

    async with serving(settings) as app:
        await app.extensions["mailer"].stop()
        asking = asyncio.gather(*(read(app, work, number) for number in range(20)))
        await asyncio.sleep(0.1)
        assert len(working) == most
        await asking


def test_a_pool_without_an_end_lets_everybody_work() -> None:
    url = make_url("sqlite+aiosqlite:///app.db")

    assert places(make_engine(url, {"max_overflow": -1})) == sys.maxsize
    assert places(create_async_engine(url, poolclass=NullPool)) == sys.maxsize


@pytest.mark.parametrize("database_uri", ["mariadb"], indirect=True)
async def test_what_a_column_is_called_is_read_once(app: Quart) -> None:
    await create_user(app)
    make_engine(app.extensions["db"].url, {})  # another one, as each command has
    packet: Any = aiomysql.connection.FieldDescriptorPacket

    for _ in range(2):
        before = packet.cache_info().misses
        await count(app, User)

    assert packet.cache_info().misses == before
    assert isinstance(packet.__wrapped__, type)
