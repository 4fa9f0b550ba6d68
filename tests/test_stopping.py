"""How the server stops: it finishes the requests under way, within 15 s, and leaves no process."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import httpx
import pytest

from support.load import children, client_of, instance_in, living, send_slowly, serving_many, side_by_side, wait_until
from support.mariadb_server import free_port
from support.server_process import TIMEOUT_SECONDS, Server, running

pytestmark = pytest.mark.slow

REQUEST_SECONDS = [0.1, *(n / 4 for n in range(1, 21))]
SHORTER_REQUEST_SECONDS = REQUEST_SECONDS[:9]
LONGEST_REQUEST_SECONDS = REQUEST_SECONDS[-1]
STOP_SECONDS = 15
BEYOND_STARTUP_SECONDS = 3.2  # a worker that ends earlier ends the server
APP = """
import asyncio, os, sys, time
from quart import Quart, websocket
from app.lib import logs
from app.lib.server.serve import serve_app

workers, manner, bind = sys.argv[1:]
app = Quart("test")

@app.get("/pid")
async def pid():
    return str(os.getpid())

@app.get("/never")
async def never():
    await asyncio.sleep(3600)

@app.get("/large")
async def large():
    return b"x" * 2**25  # more than the kernel buffers

@app.get("/blocked")
async def blocked():
    time.sleep(3600)

@app.websocket("/socket")
async def socket():
    await websocket.accept()
    await asyncio.sleep(3600)

@app.before_serving
async def start():
    if manner == "dying":
        raise SystemExit(3)

@app.after_serving
async def stop():
    print("after_serving", flush=True)

logs.set_up("text")
sys.exit(serve_app(app, bind=bind, workers=int(workers)))
"""
TEST_APP = (sys.executable, "-c", APP)
HANDSHAKE = "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MTIzNA==\r\n"


@dataclass
class Stop:
    """A way to stop the server: which processes receive which signals."""

    workers: int
    receiver: str = "master"
    signals: tuple[signal.Signals, ...] = (signal.SIGTERM,)

    def send(self, server: Server) -> None:
        for number in self.signals:
            (os.killpg if self.receiver == "group" else os.kill)(server.process.pid, number)
            time.sleep(0.5 if len(self.signals) > 1 else 0)


@dataclass
class Outcome:
    exit_code: int
    seconds: float
    statuses: list[int | str]
    log: str
    left: set[int]
    files: set[str]


STOPS = {
    "1 worker": Stop(1),
    "2 workers": Stop(2),
    "4 workers": Stop(4),
    "the group of 2": Stop(2, "group"),
    "Ctrl-C with 1": Stop(1, "group", (signal.SIGINT,)),
    "Ctrl-C with 2": Stop(2, "group", (signal.SIGINT,)),
    "three signals": Stop(2, "group", (signal.SIGTERM, signal.SIGINT, signal.SIGTERM)),
}


@pytest.fixture
def instance(tmp_path: Path, sqlite_template: Path) -> Path:
    return instance_in(tmp_path / "site", sqlite_template)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> dict[str, Outcome]:
    """Stop a server in each way, several at the same time."""
    folders = [instance_in(tmp_path_factory.mktemp("stop") / "site", sqlite_template) for _ in STOPS]
    return dict(zip(STOPS, side_by_side(stop_during_requests, folders, list(STOPS.values())), strict=True))


def stop_during_requests(folder: Path, stop: Stop) -> Outcome:
    with serving_many(folder, workers=stop.workers) as server:
        workers, since = children(server.process.pid), time.monotonic()
        statuses = act_during_requests(server, lambda: stop.send(server))
        exit_code = server.process.wait(TIMEOUT_SECONDS)
        seconds = time.monotonic() - since
    files = {file.name for file in folder.iterdir()}
    return Outcome(exit_code, seconds, statuses, server.log.read_text(), living(workers), files)


def act_during_requests(
    server: Server, act: Callable[[], None], seconds: list[float] = REQUEST_SECONDS
) -> list[int | str]:
    """Call `act` while requests of these durations are under way, and return their statuses."""

    async def send_and_act() -> list[int | str]:
        begun = asyncio.Barrier(len(seconds) + 1)
        async with client_of(server) as client:
            requests = [asyncio.create_task(send_slowly(client, each, begun)) for each in seconds]
            await begun.wait()
            await asyncio.sleep(0.05)
            await asyncio.to_thread(act)
            return [outcome.status for outcome in await asyncio.gather(*requests)]

    return asyncio.run(send_and_act())


def test_no_request_under_way_is_lost(stopped: dict[str, Outcome], subtests: pytest.Subtests) -> None:
    for stop, outcome in stopped.items():
        with subtests.test(stop=stop):
            reasons = [line for line in outcome.log.splitlines() if "database_unavailable" in line]
            assert outcome.statuses == [303] * len(REQUEST_SECONDS), reasons


def test_it_exits_with_0_in_time_and_leaves_no_process(stopped: dict[str, Outcome], subtests: pytest.Subtests) -> None:
    for stop, outcome in stopped.items():
        with subtests.test(stop=stop):
            assert outcome.exit_code == 0
            assert LONGEST_REQUEST_SECONDS < outcome.seconds < STOP_SECONDS
            assert outcome.left == set()


def test_every_connection_to_the_database_is_closed(stopped: dict[str, Outcome], subtests: pytest.Subtests) -> None:
    for stop, outcome in stopped.items():
        with subtests.test(stop=stop):
            lines = [line for line in outcome.log.splitlines() if " stopped " in line]
            assert len(lines) == STOPS[stop].workers
            assert all("Connections in pool: 0" in line for line in lines)
            assert "Traceback" not in outcome.log
            assert "app.db-wal" not in outcome.files  # SQLite removes it with the last connection


def test_behind_a_proxy_sigterm_first_announces_the_stop(instance: Path) -> None:
    with running(instance, "--workers", "2", workers=2, TRUSTED_PROXIES="1") as server, ExitStack() as stack:
        idle = stack.enter_context(closing(connect(server)))
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)

        for connection in (idle, stack.enter_context(closing(connect(server)))):
            connection.request("GET", "/readyz")
            response = connection.getresponse()
            assert (response.status, response.read().strip()) == (503, b'{"status":"draining"}')
            assert response.getheader("Connection") == "close"
        assert server.process.wait(TIMEOUT_SECONDS) == 0


@pytest.mark.parametrize(("number", "proxies"), [(signal.SIGTERM, "0"), (signal.SIGINT, "1")])
def test_without_a_proxy_or_on_ctrl_c_the_port_is_closed_at_once(
    instance: Path, number: signal.Signals, proxies: str
) -> None:
    with running(instance, TRUSTED_PROXIES=proxies) as server:
        server.process.send_signal(number)
        time.sleep(0.3)

        with pytest.raises(httpx.ConnectError):
            server.get("/healthz")
        assert server.process.wait(TIMEOUT_SECONDS) == 0


def test_a_signal_while_the_workers_start_stops_them(tmp_path: Path, sqlite_template: Path) -> None:
    folders = [instance_in(tmp_path / str(number), sqlite_template) for number in range(4)]

    for exit_code, seconds, left in side_by_side(stop_at_start, folders, [1, 2, 3, 5]):
        assert (exit_code, left) == (0, set())
        assert seconds < STOP_SECONDS


def stop_at_start(folder: Path, started_workers: int) -> tuple[int, float, set[int]]:
    with running(folder, "--workers", "8", workers=0) as server:
        while len(workers := children(server.process.pid)) < started_workers:
            assert server.process.poll() is None
        since = time.monotonic()
        exit_code = server.end()
        return exit_code, time.monotonic() - since, living(workers)


def test_a_worker_that_receives_sigterm_finishes_its_requests_and_is_replaced(instance: Path) -> None:
    with serving_many(instance, workers=2) as server:
        before = children(server.process.pid)
        first = min(before)
        statuses = act_during_requests(server, lambda: os.kill(first, signal.SIGTERM), SHORTER_REQUEST_SECONDS)

        assert statuses == [303] * len(SHORTER_REQUEST_SECONDS)
        server.wait_for(lambda: server.starts == 3)
        after = children(server.process.pid)
        assert (len(after), before - after) == (2, {first})
        assert server.end() == 0


def test_a_killed_worker_is_replaced_and_its_queue_is_served(tmp_path: Path) -> None:
    with serving_test_app(tmp_path, 2) as server, ExitStack() as stack:
        time.sleep(BEYOND_STARTUP_SECONDS)
        killed = max(children(server.process.pid))
        os.kill(killed, signal.SIGSTOP)
        connections = [stack.enter_context(closing(connect(server))) for _ in range(16)]
        for connection in connections:
            connection.request("GET", "/pid")
        os.kill(killed, signal.SIGKILL)

        served_by = {int(connection.getresponse().read()) for connection in connections}

        assert served_by == children(server.process.pid)
        assert killed not in served_by
        assert server.end() == 0


def test_sixteen_connections_leave_no_worker_without_work(tmp_path: Path) -> None:
    """The kernel chooses a worker by a hash: all sixteen get the same one in one of 32,768 runs."""
    with serving_test_app(tmp_path, 2) as server, ExitStack() as stack:
        connections = [stack.enter_context(closing(connect(server))) for _ in range(16)]
        for connection in connections:
            connection.request("GET", "/pid")

        assert len({connection.getresponse().read() for connection in connections}) == 2


def connect(server: Server) -> HTTPConnection:
    connection = HTTPConnection(server.address, timeout=TIMEOUT_SECONDS)
    connection.connect()
    return connection


def test_workers_that_cannot_start_end_the_server(tmp_path: Path) -> None:
    with running(tmp_path, "2", "dying", f"127.0.0.1:{free_port()}", command=TEST_APP, workers=0) as server:
        assert server.process.wait(TIMEOUT_SECONDS) == 1
        assert 1 <= server.log.read_text().count("worker_exited") <= 2


def test_the_workers_of_a_killed_master_finish_their_requests_and_exit(instance: Path) -> None:
    with serving_many(instance, workers=2) as server:
        workers = children(server.process.pid)

        statuses = act_during_requests(server, server.process.kill, SHORTER_REQUEST_SECONDS)
        assert statuses == [303] * len(SHORTER_REQUEST_SECONDS)
        wait_until(lambda: living(workers) == set())
        with socket.create_server(("127.0.0.1", int(server.address.split(":")[1]))):
            pass  # the port is free


def test_no_client_can_prevent_the_stop(tmp_path: Path) -> None:
    """Neither an endless request, nor a client that does not read, nor an open websocket, nor a blocked worker."""
    folders = [tmp_path / str(number) for number in range(3)]
    blocking = [["never", "large", "socket"]] * 2 + [["blocked"]]

    outcomes = side_by_side(stop_with_open_requests, folders, [1, 2, 2], blocking)

    assert all(seconds < STOP_SECONDS + 5 for _, seconds, _ in outcomes)
    assert [exit_code for exit_code, _, _ in outcomes] == [0, 0, 1]  # the master kills a worker that is blocked
    assert [log.count("after_serving") for _, _, log in outcomes] == [1, 2, 1]


def stop_with_open_requests(folder: Path, workers: int, paths: list[str]) -> tuple[int, float, str]:
    folder.mkdir()
    with serving_test_app(folder, workers) as server, ExitStack() as stack:
        for path in paths:
            client = stack.enter_context(connect(server).sock)
            headers = HANDSHAKE if path == "socket" else ""
            client.sendall(f"GET /{path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode())
            time.sleep(0.2)
        since = time.monotonic()
        exit_code = server.end()
        return exit_code, time.monotonic() - since, server.log.read_text()


def serving_test_app(folder: Path, workers: int) -> AbstractContextManager[Server]:
    address = f"127.0.0.1:{free_port()}"
    return running(folder, str(workers), "living", address, command=TEST_APP, workers=workers, address=address)


def test_idle_connections_do_not_delay_the_stop(instance: Path) -> None:
    """The stop would otherwise last as long as the grace period, 10 s."""
    with running(instance) as server, httpx.Client(base_url=f"http://{server.address}") as client:
        assert client.get("/healthz").status_code == 200
        since = time.monotonic()
        assert server.end() == 0
        assert time.monotonic() - since < 8
