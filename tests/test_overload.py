"""More passwords than can be hashed: some are answered in time, the others told at once to come back."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

import pytest
from quart import Quart, Response
from sqlalchemy import func, select

from app.models import Throttle, db
from app.rate import Rate
from app.services import hashing, throttling
from app.services.hashing import HashingQueue
from app.services.passwords import PasswordHasher
from app.services.throttling import Limit
from people import EMAIL, PASSWORD, change_password, create_user, log_in, register

pytestmark = pytest.mark.slow

SLOW = 0.2  # seconds
FORM = urlencode({"email": EMAIL, "password": PASSWORD}).encode()
FORM_SENT = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def database_uri(sqlite_template: Path, tmp_path: Path) -> str:
    """Return one database: the queue does not depend on its kind."""
    (tmp_path / "app.db").write_bytes(sqlite_template.read_bytes())
    return "sqlite:///app.db"


@pytest.fixture(autouse=True)
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[HashingQueue]:
    """Have a new queue: what it learns here of slow hashes would have it refuse other tests."""
    monkeypatch.setattr(hashing, "queue", HashingQueue())
    yield hashing.queue
    hashing.queue.threads.shutdown(cancel_futures=True)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash on a slow machine, of which the queue does not know yet."""
    verify = PasswordHasher.verify

    def verify_slowly(hasher: PasswordHasher, password: str, stored: str | None) -> str | None:
        time.sleep(SLOW)
        return verify(hasher, password, stored)

    monkeypatch.setattr(PasswordHasher, "verify", verify_slowly)


class Answer(NamedTuple):
    status: int
    retry_after: int
    seconds: float


async def timed(request: Awaitable[Response]) -> Answer:
    since = time.monotonic()
    response = await request
    return Answer(response.status_code, int(response.headers.get("Retry-After", 0)), time.monotonic() - since)


async def flood(app: Quart, times: int, **typed: str) -> list[Answer]:
    return await asyncio.gather(*(timed(log_in(app.test_client(), **typed)) for _ in range(times)))


def slowest(answers: list[Answer], status: int) -> float:
    return max(answer.seconds for answer in answers if answer.status == status)


async def test_in_a_flood_some_get_in_and_nobody_waits_long(app: Quart, slow: None) -> None:
    await create_user(app)

    answers = await flood(app, 200)

    assert {answer.status for answer in answers} == {303, 503}
    assert max(answer.seconds for answer in answers) < 8
    assert all(1 <= answer.retry_after <= 60 for answer in answers if answer.status == 503)


async def seconds_to_count(app: Quart, tries: int) -> float:
    """Return how long it takes here to count so many tries and to give them back, with nothing else to do."""
    limits = [Limit("try", whose, Rate.parse("1000000 per minute")) for whose in ("one", "other", "third")]

    async def count() -> None:
        async with app.app_context():
            await db.write(throttling.give_back, await db.write(throttling.take, limits))

    since = time.monotonic()
    await asyncio.gather(*(count() for _ in range(tries)), return_exceptions=True)
    return time.monotonic() - since


async def seconds_to_refuse(app: Quart, queue: HashingQueue, tries: int) -> float:
    """Return how long it takes here to refuse so many, of whom nothing is counted and nothing hashed."""
    before, queue.waiting = queue.waiting, 1_000_000
    try:
        return slowest(await flood(app, tries), 503)
    finally:
        queue.waiting = before


async def test_who_would_wait_too_long_is_told_at_once_and_gets_in_a_moment_later(
    app: Quart, slow: None, queue: HashingQueue
) -> None:
    await create_user(app)
    queue.seconds_each = SLOW  # as it has learnt by now
    counting, refusing = await seconds_to_count(app, 200), await seconds_to_refuse(app, queue, 200)

    answers = await flood(app, 200)
    later = await timed(log_in(app.test_client()))

    assert Counter(answer.status for answer in answers)[503] > 100
    # Who is refused waits for the counting of others and for their pages, and for no hash.
    assert slowest(answers, 503) < 2 * (counting + refusing)
    assert slowest(answers, 303) < 8
    assert (later.status, later.seconds < 1, queue.waiting) == (303, True, 0)


async def test_other_pages_answer_during_a_flood(app: Quart, slow: None, queue: HashingQueue) -> None:
    await create_user(app)
    queue.seconds_each = SLOW
    pages = []

    flooding = asyncio.create_task(flood(app, 200))
    while not flooding.done():
        await asyncio.sleep(0.05)
        pages += [await timed(app.test_client().get(path)) for path in ("/healthz", "/")]

    assert {page.status for page in pages} == {200}
    assert max(page.seconds for page in pages) < 1


async def test_the_queue_learns_that_hashes_have_become_quick_again(app: Quart, queue: HashingQueue) -> None:
    await create_user(app)
    queue.seconds_each = 10

    for _ in range(5):
        assert (await log_in(app.test_client())).status_code == 303
    for _ in range(30):
        await log_in(app.test_client())

    assert {answer.status for answer in await flood(app, 6)} == {303}


async def test_signing_up_and_changing_a_password_wait_in_the_same_queue(app: Quart, queue: HashingQueue) -> None:
    owner = app.test_client()
    await register(owner)
    queue.waiting, queue.seconds_each = 100, SLOW  # as if so many waited

    answers = [
        await timed(change_password(owner)),
        await timed(register(app.test_client(), email="eve@example.com")),
        await timed(log_in(app.test_client())),
    ]

    assert [answer.status for answer in answers] == [503, 503, 503]
    assert queue.waiting == 100


async def test_a_refusal_is_a_page_and_a_line_in_the_log(
    app: Quart, queue: HashingQueue, log: pytest.LogCaptureFixture
) -> None:
    queue.waiting, queue.seconds_each = 100, SLOW

    page = await log_in(app.test_client())
    json = await app.test_client().post("/login", data=FORM, headers=FORM_SENT | {"Accept": "application/json"})

    assert "We will be right back" in await page.get_data(as_text=True)
    assert (await json.get_json())["error"]["code"] == "service_unavailable"
    assert any("overloaded" in line and "ERROR" in line.upper() for line in log.text.splitlines())


@pytest.mark.parametrize("learnt", [0.02, SLOW])
async def test_who_was_refused_for_lack_of_time_has_not_tried(
    app: Quart, slow: None, queue: HashingQueue, learnt: float
) -> None:
    await create_user(app)
    queue.seconds_each = learnt

    answers = await flood(app, 150, password="wrong horse")

    async with app.app_context():
        counted = await db.read(lambda session: session.scalar(select(func.min(Throttle.used)))) or 0
    looked_at = Counter(answer.status for answer in answers)[422]
    assert 0 < looked_at <= counted < looked_at + 10  # the database may have been too busy to take some back


async def test_a_client_that_goes_away_frees_its_place(app: Quart, slow: None, queue: HashingQueue) -> None:
    await create_user(app)
    gone = asyncio.Event()

    impatient = [asyncio.create_task(ask_and_go_away(app, gone)) for _ in range(40)]
    await asyncio.sleep(1.5)
    assert queue.waiting > 20
    gone.set()
    await asyncio.gather(*impatient)
    left, answer = queue.waiting, await timed(log_in(app.test_client()))

    assert left == 0
    assert (answer.status, answer.seconds < 1) == (303, True)


async def ask_and_go_away(app: Quart, gone: asyncio.Event) -> None:
    request = app.test_client().request("/login", method="POST", headers=FORM_SENT)
    async with request as connection:
        await connection.send(FORM)
        await connection.send_complete()
        await gone.wait()
        await connection.disconnect()
