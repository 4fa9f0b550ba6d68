"""More passwords than can be hashed: some logins succeed in time, the others are refused at once with 503."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Iterator
from typing import NamedTuple
from urllib.parse import urlencode

import pytest
from quart import Quart, Response
from sqlalchemy import func, select

from app.lib.db import db
from app.lib.passwords.executor import HashExecutor, executor
from app.lib.passwords.hasher import PasswordHasher
from app.lib.settings.rate import Rate
from app.models import RateLimit
from app.services import rate_limits
from app.services.rate_limits import Limit
from support.actions import EMAIL, PASSWORD, change_password, create_user, log_in, register

pytestmark = pytest.mark.slow

HASH_SECONDS = 0.2
WAIT_SECONDS = 8  # for a hash: the queue refuses a login after 3, and 200 hashes take more than 20
FORM = urlencode({"email": EMAIL, "password": PASSWORD}).encode()
FORM_SENT = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(autouse=True)
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[HashExecutor]:
    """Use a new queue: one that has measured slow hashes would refuse the logins of other tests."""
    fresh = HashExecutor()
    for name in ("threads", "waiting", "seconds_each"):
        monkeypatch.setattr(executor, name, getattr(fresh, name))
    yield executor
    executor.threads.shutdown(cancel_futures=True)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash as slowly as a slow machine. The queue has not measured this yet."""
    verify = PasswordHasher.verify

    def verify_slowly(hasher: PasswordHasher, password: str, stored: str | None) -> str | None:
        time.sleep(HASH_SECONDS)
        return verify(hasher, password, stored)

    monkeypatch.setattr(PasswordHasher, "verify", verify_slowly)


class Timed(NamedTuple):
    status: int
    retry_after: int
    seconds: float


async def timed(request: Awaitable[Response]) -> Timed:
    since = time.monotonic()
    response = await request
    return Timed(response.status_code, int(response.headers.get("Retry-After", 0)), time.monotonic() - since)


async def flood(app: Quart, times: int = 200, **typed: str) -> list[Timed]:
    return await asyncio.gather(*(timed(log_in(app.test_client(), **typed)) for _ in range(times)))


async def pages_during(app: Quart, flooding: "asyncio.Task[list[Timed]]") -> list[Timed]:
    pages = []
    while not flooding.done():
        await asyncio.sleep(0.05)
        pages += [await timed(app.test_client().get(path)) for path in ("/healthz", "/")]
    return pages


def slowest(responses: list[Timed], status: int) -> float:
    return max(response.seconds for response in responses if response.status == status)


class Unhashed(NamedTuple):
    """The seconds that the same flood takes on this machine without hashing."""

    hits: float  # to count the attempts and to refund them
    refuse: float  # until the last one is refused
    page: float  # for the slowest page meanwhile


async def measure_unhashed(app: Quart, queue: HashExecutor, monkeypatch: pytest.MonkeyPatch) -> Unhashed:
    limits = [Limit("try", whose, Rate.parse("1000000 per minute")) for whose in ("one", "other", "third")]

    async def count() -> None:
        async with app.app_context():
            await db.write(rate_limits.refund, await db.write(rate_limits.hit, limits))

    since = time.monotonic()
    await asyncio.gather(*(count() for _ in range(200)), return_exceptions=True)
    counted = time.monotonic() - since
    with monkeypatch.context() as patch:
        patch.setattr(queue, "waiting", 1_000_000)
        flooding = asyncio.create_task(flood(app))
        pages = await pages_during(app, flooding)
        return Unhashed(counted, slowest(await flooding, 503), slowest(pages, 200))


async def test_in_a_flood_some_log_in_and_the_others_are_refused_at_once(
    app: Quart, slow: None, queue: HashExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create_user(app)
    queue.seconds_each = HASH_SECONDS  # as measured earlier
    unhashed = await measure_unhashed(app, queue, monkeypatch)

    flooding = asyncio.create_task(flood(app))
    pages = await pages_during(app, flooding)
    responses = await flooding
    later = await log_in(app.test_client())

    assert Counter(response.status for response in responses)[503] > 100
    assert all(1 <= response.retry_after <= 60 for response in responses if response.status == 503)
    # A refused login waits until the others are counted and their pages are sent, but not for a hash.
    assert slowest(responses, 503) < 2 * (unhashed.hits + unhashed.refuse)
    assert slowest(responses, 303) < WAIT_SECONDS + unhashed.hits + unhashed.refuse
    assert {page.status for page in pages} == {200}
    assert slowest(pages, 200) < 3 * unhashed.page + 5 * HASH_SECONDS
    assert (later.status_code, queue.waiting) == (303, 0)


async def test_in_a_flood_of_slow_hashes_no_login_waits_long(
    app: Quart, slow: None, queue: HashExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue has not measured yet how slow the hashes are."""
    await create_user(app)
    unhashed = await measure_unhashed(app, queue, monkeypatch)

    responses = await flood(app)

    assert {response.status for response in responses} == {303, 503}
    assert max(response.seconds for response in responses) < WAIT_SECONDS + unhashed.hits + unhashed.refuse


async def test_the_expected_wait_becomes_shorter_when_hashes_become_fast_again(app: Quart, queue: HashExecutor) -> None:
    await create_user(app)
    queue.seconds_each = 10

    for _ in range(5):
        assert (await log_in(app.test_client())).status_code == 303
    for _ in range(30):
        await log_in(app.test_client())

    assert {response.status for response in await flood(app, 6)} == {303}


async def test_registering_and_changing_a_password_wait_in_the_same_queue(app: Quart, queue: HashExecutor) -> None:
    owner = app.test_client()
    await register(owner)
    queue.waiting, queue.seconds_each = 100, HASH_SECONDS  # as if a hundred passwords waited

    responses = [
        await change_password(owner),
        await register(app.test_client(), email="eve@example.com"),
        await log_in(app.test_client()),
    ]

    assert [response.status_code for response in responses] == [503, 503, 503]
    assert queue.waiting == 100


async def test_a_refusal_is_a_page_and_a_line_in_the_log(
    app: Quart, queue: HashExecutor, log: pytest.LogCaptureFixture
) -> None:
    queue.waiting, queue.seconds_each = 100, HASH_SECONDS

    page = await log_in(app.test_client())
    json = await app.test_client().post("/login", data=FORM, headers=FORM_SENT | {"Accept": "application/json"})

    assert "Service unavailable" in await page.get_data(as_text=True)
    assert (await json.get_json())["error"]["code"] == "service_unavailable"
    assert any("overloaded" in line and "ERROR" in line.upper() for line in log.text.splitlines())


@pytest.mark.parametrize("learnt", [0.02, HASH_SECONDS])
async def test_a_login_that_was_refused_for_lack_of_time_does_not_count(
    app: Quart, slow: None, queue: HashExecutor, learnt: float
) -> None:
    await create_user(app)
    queue.seconds_each = learnt

    responses = await flood(app, 150, password="wrong horse")

    async with app.app_context():
        counted = await db.read(lambda session: session.scalar(select(func.min(RateLimit.used)))) or 0
    hashed = Counter(response.status for response in responses)[422]
    assert 0 < hashed <= counted < hashed + 10  # the database may have been too busy to refund some


async def test_a_client_that_disconnects_leaves_the_queue(
    app: Quart, queue: HashExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create_user(app)
    gone, finish = asyncio.Event(), threading.Event()

    with monkeypatch.context() as patch:
        patch.setattr(PasswordHasher, "verify", lambda *_: finish.wait(60))
        impatient = [asyncio.create_task(send_and_disconnect(app, gone)) for _ in range(40)]
        while queue.waiting < len(impatient):  # noqa: ASYNC110 # the queue has no event
            await asyncio.sleep(0.05)
        gone.set()
        await asyncio.gather(*impatient)
        assert queue.waiting == 0
        finish.set()

    assert (await log_in(app.test_client())).status_code == 303


async def send_and_disconnect(app: Quart, gone: asyncio.Event) -> None:
    request = app.test_client().request("/login", method="POST", headers=FORM_SENT)
    async with request as connection:
        await connection.send(FORM)
        await connection.send_complete()
        await gone.wait()
        await connection.disconnect()
