"""How the server ends: nothing that was accepted is lost, nobody waits long, and no process is left behind."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import httpx
import pytest

from load import ask_until_refused, children, client_of, instance_in, living, log_in_slowly, serving_many, side_by_side
from mariadb_server import free_port
from test_run import PATIENCE, Server, running

pytestmark = pytest.mark.slow

SLOW = [0.1, *(n / 4 for n in range(1, 21))]  # seconds that the requests take
LESS_SLOW = SLOW[:9]
APP = """
import asyncio, sys, time
from quart import Quart
from app import events
from app.server import serve_app

workers, manner, bind = sys.argv[1:]
app = Quart("test")

@app.get("/never")
async def never():
    await asyncio.sleep(3600)

@app.get("/large")
async def large():
    return b"x" * 2**25  # more than the kernel takes off our hands

@app.get("/blocked")
async def blocked():
    time.sleep(3600)

@app.before_serving
async def start():
    if manner == "dying":
        raise SystemExit(3)

events.set_up("text")
sys.exit(serve_app(app, bind=bind, workers=int(workers)))
"""
TEST_APP = (sys.executable, "-c", APP)


@dataclass
class Ending:
    """A way to end the server: who is told, and by which signals."""

    workers: int
    told: str = "master"
    signals: tuple[signal.Signals, ...] = (signal.SIGTERM,)

    def tell(self, server: Server) -> None:
        for number in self.signals:
            (os.killpg if self.told == "group" else os.kill)(server.process.pid, number)
            time.sleep(0.5 if len(self.signals) > 1 else 0)


@dataclass
class Ended:
    """What became of it."""

    exit_code: int
    seconds: float
    statuses: list[int | str]
    log: str
    left: set[int]
    files: set[str]


ENDINGS = {
    "1 worker": Ending(1),
    "2 workers": Ending(2),
    "4 workers": Ending(4),
    "the group of 1": Ending(1, "group"),
    "the group of 2": Ending(2, "group"),
    "the group of 4": Ending(4, "group"),
    "Ctrl-C with 1": Ending(1, "group", (signal.SIGINT,)),
    "Ctrl-C with 2": Ending(2, "group", (signal.SIGINT,)),
    "twice with 1": Ending(1, "master", (signal.SIGTERM, signal.SIGTERM)),
    "twice with 2": Ending(2, "group", (signal.SIGTERM, signal.SIGINT, signal.SIGTERM)),
}


@pytest.fixture
def instance(tmp_path: Path, sqlite_template: Path) -> Path:
    return instance_in(tmp_path / "site", sqlite_template)


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> dict[str, Ended]:
    """Every way to end the server, all at once: each takes the five seconds of its longest request."""
    folders = [instance_in(tmp_path_factory.mktemp("ending") / "site", sqlite_template) for _ in ENDINGS]
    return dict(zip(ENDINGS, side_by_side(end, folders, list(ENDINGS.values())), strict=True))


def end(folder: Path, ending: Ending) -> Ended:
    with serving_many(folder, workers=ending.workers) as server:
        workers, since = children(server.process.pid), time.monotonic()
        statuses = while_people_log_in(server, lambda: ending.tell(server))
        exit_code = server.process.wait(PATIENCE)
        seconds = time.monotonic() - since
    files = {file.name for file in folder.iterdir()}
    return Ended(exit_code, seconds, statuses, server.log.read_text(), living(workers), files)


def while_people_log_in(server: Server, act: Callable[[], None], slow: list[float] = SLOW) -> list[int | str]:
    """Act in the middle of many requests, and return how each was answered."""

    async def log_in_and_act() -> list[int | str]:
        begun = asyncio.Barrier(len(slow) + 1)
        async with client_of(server) as client:
            requests = [asyncio.create_task(log_in_slowly(client, seconds, begun)) for seconds in slow]
            await begun.wait()
            await asyncio.sleep(0.05)
            await asyncio.to_thread(act)
            return [outcome.status for outcome in await asyncio.gather(*requests)]

    return asyncio.run(log_in_and_act())


@pytest.mark.parametrize("ending", ENDINGS)
def test_no_request_under_way_is_lost(ended: dict[str, Ended], ending: str) -> None:
    why_not = [line for line in ended[ending].log.splitlines() if "database_unavailable" in line]

    assert ended[ending].statuses == [422] * len(SLOW), why_not


@pytest.mark.parametrize("ending", ENDINGS)
def test_it_ends_well_in_time_and_whole(ended: dict[str, Ended], ending: str) -> None:
    assert ended[ending].exit_code == 0
    assert 5 < ended[ending].seconds < 15
    assert ended[ending].left == set()


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_connection_to_the_database_is_closed(ended: dict[str, Ended], ending: str) -> None:
    stopped = [line for line in ended[ending].log.splitlines() if " stopped " in line]

    assert len(stopped) == ENDINGS[ending].workers
    assert all("Connections in pool: 0" in line for line in stopped)
    assert "Traceback" not in ended[ending].log
    assert "app.db-wal" not in ended[ending].files  # SQLite removes it with the last connection


def test_short_requests_that_never_cease_are_answered_or_refused(tmp_path: Path, sqlite_template: Path) -> None:
    endings = [Ending(1), Ending(2), Ending(2, "group"), Ending(4)] * 2
    folders = [instance_in(tmp_path / str(number), sqlite_template) for number in range(len(endings))]
    counted: Counter[str] = Counter()

    for ends in side_by_side(end_in_a_storm, folders, endings):
        assert ends["answered"] > 20, ends
        counted += ends
    assert set(counted) == {"answered", "refused"}, counted


def end_in_a_storm(folder: Path, ending: Ending) -> Counter[str]:
    async def storm() -> Counter[str]:
        told = asyncio.Event()
        clients = [asyncio.create_task(ask_until_refused(server, told)) for _ in range(8)]
        await asyncio.sleep(1)
        ending.tell(server)
        told.set()
        return Counter(chain.from_iterable(await asyncio.gather(*clients)))

    with serving_many(folder, workers=ending.workers) as server:
        counted = asyncio.run(storm())
        assert server.process.wait(PATIENCE) == 0
    return counted


def test_a_signal_while_the_workers_start_ends_it_well(tmp_path: Path, sqlite_template: Path) -> None:
    folders = [instance_in(tmp_path / str(number), sqlite_template) for number in range(4)]

    for exit_code, seconds, left in side_by_side(end_at_start, folders, [1, 2, 3, 5]):
        assert exit_code == 0
        assert seconds < 10
        assert left == set()


def end_at_start(folder: Path, so_many: int) -> tuple[int, float, set[int]]:
    with running(folder, "--workers", "8", workers=0) as server:
        while len(workers := children(server.process.pid)) < so_many:
            assert server.process.poll() is None
        since = time.monotonic()
        exit_code = server.end()
        return exit_code, time.monotonic() - since, living(workers)


def test_a_worker_that_is_told_to_end_does_and_is_replaced(instance: Path) -> None:
    with serving_many(instance, workers=2) as server:
        before = children(server.process.pid)
        first = min(before)
        statuses = while_people_log_in(server, lambda: os.kill(first, signal.SIGTERM), LESS_SLOW)

        assert statuses == [422] * len(LESS_SLOW)
        server.wait_for(lambda: server.starts == 3)
        after = children(server.process.pid)
        assert (len(after), before - after) == (2, {first})
        assert server.get("/readyz").status_code == 200
        assert server.end() == 0


def test_a_killed_worker_is_replaced_each_time(instance: Path) -> None:
    with running(instance, "--workers", "2", workers=2) as server:
        for starts in (3, 4):
            time.sleep(3.2)  # a worker that ends earlier is taken for one that cannot start
            before = children(server.process.pid)
            os.kill(max(before), signal.SIGKILL)

            server.wait_for(lambda starts=starts: server.starts == starts)  # type: ignore[misc]
            after = children(server.process.pid)
            assert (len(after), before - after) == (2, {max(before)})
            assert server.get("/readyz").status_code == 200
        assert server.end() == 0


def test_workers_that_cannot_start_end_the_server(tmp_path: Path) -> None:
    with running(tmp_path, "2", "dying", f"127.0.0.1:{free_port()}", command=TEST_APP, workers=0) as server:
        assert server.process.wait(PATIENCE) == 1
        assert 1 <= server.log.read_text().count("worker_ended") <= 2


def test_a_master_that_is_killed_takes_its_workers_along_when_they_are_done(instance: Path) -> None:
    with serving_many(instance, workers=2) as server:
        workers = children(server.process.pid)

        assert while_people_log_in(server, server.process.kill, LESS_SLOW) == [422] * len(LESS_SLOW)
        time.sleep(2)
        assert living(workers) == set()
        with socket.create_server(("127.0.0.1", int(server.address.split(":")[1]))):
            pass  # the port is free


def test_nobody_can_keep_it_from_ending(tmp_path: Path) -> None:
    """Neither a request that never ends, nor a client that does not read, nor one that has nothing to say."""
    folders = [instance_folder(tmp_path, 1), instance_folder(tmp_path, 2)]
    stubborn = [["never", "large", ""], ["never", "large", "", "blocked"]]  # only a master can end who is blocked

    for seconds in side_by_side(end_with_the_stubborn, folders, [1, 2], stubborn):
        assert seconds < 15


def instance_folder(folder: Path, number: int) -> Path:
    (folder / str(number)).mkdir()
    return folder / str(number)


def end_with_the_stubborn(folder: Path, workers: int, paths: list[str]) -> float:
    port = free_port()
    options, address = (str(workers), "living", f"127.0.0.1:{port}"), f"127.0.0.1:{port}"
    with running(folder, *options, command=TEST_APP, workers=workers, address=address) as server, ExitStack() as stack:
        for path in paths:
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            client.sendall(f"GET /{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() if path else b"")
            time.sleep(0.2)
        since = time.monotonic()
        server.end()
        return time.monotonic() - since


def test_clients_that_only_hold_a_connection_do_not_delay_the_end(instance: Path) -> None:
    with running(instance) as server, httpx.Client(base_url=f"http://{server.address}") as client:
        assert client.get("/healthz").status_code == 200
        since = time.monotonic()
        assert server.end() == 0
        assert time.monotonic() - since < 3
