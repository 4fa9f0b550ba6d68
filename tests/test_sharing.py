"""How several workers share the clients who come, in real processes: each answers with its number."""

import asyncio
import errno
import gc
import os
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, nullcontext
from http.client import HTTPConnection
from pathlib import Path

import pytest

from app.sharing import ALONE, CROWDED, IN_VAIN, SharedSocket
from load import children
from mariadb_server import free_port
from test_run import PATIENCE, Server, running

pytestmark = pytest.mark.slow

APP = """
import os, sys, time
from quart import Quart
from app import events
from app.server import serve_app

app = Quart("test")

@app.get("/<float:seconds>")
async def block(seconds):
    time.sleep(seconds)
    return str(os.getpid())

events.set_up("text")
sys.exit(serve_app(app, bind=sys.argv[1], workers=2))
"""
NOTICED = 0.3  # seconds until a worker knows who has left


class Crowd:
    """Clients with lasting connections, each with the worker that has it."""

    def __init__(self, server: Server, stack: ExitStack) -> None:
        self.server = server
        self.stack = stack
        self.worker_of: dict[HTTPConnection, int] = {}

    def come(self, number: int, path: str = "/0.0") -> Counter[int]:
        """Come at once, stay, and return how many came to each worker."""
        connections = [self.stack.enter_context(closing(self.connection())) for _ in range(number)]
        for connection in connections:
            connection.connect()
        for connection in connections:
            connection.request("GET", path)
        came = {connection: int(connection.getresponse().read()) for connection in connections}
        self.worker_of |= came
        return Counter(came.values())

    def connection(self) -> HTTPConnection:
        return HTTPConnection(self.server.address, timeout=PATIENCE)

    def leave(self, *workers: int) -> None:
        for connection in [each for each, worker in self.worker_of.items() if worker in workers]:
            del self.worker_of[connection]
            connection.close()
        time.sleep(NOTICED)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    address = f"127.0.0.1:{free_port()}"
    with running(tmp_path, address, command=(sys.executable, "-c", APP), workers=2, address=address) as server:
        yield server


@pytest.fixture
def crowd(server: Server) -> Iterator[Crowd]:
    gc.collect()
    gc.disable()  # after other tests it takes long enough that those who come at once do not
    with ExitStack() as stack:
        yield Crowd(server, stack)
    gc.enable()


@pytest.mark.parametrize("number", [2, 8, 16, 50])
def test_those_who_come_at_once_are_shared_evenly(crowd: Crowd, number: int) -> None:
    for _ in range(5):
        came = crowd.come(number)

        assert len(came) == 2
        assert max(came.values()) <= min(came.values()) * 4 / 3 + 1
        crowd.leave(*came)


def test_who_comes_takes_the_place_of_who_has_left(crowd: Crowd) -> None:
    (left, before), (other, _) = crowd.come(20).most_common()
    crowd.leave(left)

    came = crowd.come(before)

    assert came[left] > 3 * came[other]


def test_nobody_waits_for_a_worker_that_is_busy(crowd: Crowd) -> None:
    (busy, _), (other, _) = crowd.come(20).most_common()
    crowd.leave(busy)  # it has the fewest now
    with closing(crowd.connection()) as blocking:
        blocking.request("GET", "/2.0")
        time.sleep(NOTICED)
        began = time.monotonic()

        assert crowd.come(4) == {other: 4}
        assert time.monotonic() - began < 1
        assert int(blocking.getresponse().read()) == busy


def test_a_worker_that_replaces_another_has_the_fewest(crowd: Crowd) -> None:
    time.sleep(3.2)  # a worker that ends earlier is taken for one that cannot start
    workers = crowd.come(20)
    os.kill(min(workers), signal.SIGKILL)
    crowd.server.wait_for(lambda: crowd.server.starts == 3)
    (new,) = children(crowd.server.process.pid) - set(workers)

    came = crowd.come(8)

    assert came[new] >= 6


@pytest.mark.parametrize("other", ["listens", "starts again", "stops"])
async def test_clients_are_left_only_to_workers_that_listen(other: str) -> None:
    bound = socket.create_server(("127.0.0.1", 0))
    with SharedSocket(bound, workers=2) as listening, ExitStack() as stack:
        listening.settimeout(0)
        listening.take_place(1)
        listening.listen(8)
        if other == "starts again":
            listening.take_place(1)
        if other == "stops":
            listening.leave()
        listening.take_place(0)
        listening.listen(8)
        for _ in range(2):
            stack.enter_context(socket.create_connection(listening.getsockname()))

        stack.enter_context(listening.accept()[0])
        with pytest.raises(BlockingIOError) if other == "listens" else nullcontext():
            stack.enter_context(listening.accept()[0])


def test_while_a_worker_is_stuck_others_take_who_comes(crowd: Crowd) -> None:
    (stuck, _), (other, _) = crowd.come(20).most_common()
    crowd.leave(stuck)  # it has the fewest now
    os.kill(stuck, signal.SIGSTOP)
    try:
        assert crowd.come(100) == {other: 100}
    finally:
        os.kill(stuck, signal.SIGCONT)

    crowd.leave(other)
    time.sleep(ALONE)
    assert len(crowd.come(8)) == 2


async def tries_until_taken(listening: SharedSocket, stack: ExitStack) -> int:
    """Come, stay, and return how often the worker was asked until it took the client."""
    stack.enter_context(socket.create_connection(listening.getsockname()))
    tries = 1
    while True:
        try:
            stack.enter_context(listening.accept()[0])
        except BlockingIOError:
            tries += 1
            await asyncio.sleep(0.001)
        else:
            return tries


async def test_who_comes_is_left_to_a_stuck_worker_only_a_few_times() -> None:
    with SharedSocket(socket.create_server(("127.0.0.1", 0)), workers=2) as listening, ExitStack() as stack:
        listening.settimeout(0)
        for place in (1, 0):  # the first of them takes nobody
            listening.take_place(place)
            listening.listen(8)
        tries = [await tries_until_taken(listening, stack) for _ in range(IN_VAIN + 5)]
        assert [each > 1 for each in tries] == [False] + [True] * IN_VAIN + [False] * 4

        listening.clients[1] = 1  # it stirs
        assert await tries_until_taken(listening, stack) > 1


async def test_where_no_room_is_left_one_try_is_made_and_not_one_for_each_in_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = []

    def accept(_listening: socket.socket) -> None:
        tried.append(1)
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket.socket, "accept", accept)
    with SharedSocket(socket.create_server(("127.0.0.1", 0)), workers=1) as listening:
        listening.listen(8)
        with pytest.raises(OSError, match="Too many"):
            listening.accept()
        for _ in range(3):
            with pytest.raises(BlockingIOError):
                listening.accept()
        await asyncio.sleep(CROWDED)
        with pytest.raises(OSError, match="Too many"):
            listening.accept()

    assert len(tried) == 2
