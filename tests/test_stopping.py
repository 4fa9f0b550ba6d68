"""How the server stops: it finishes the requests under way, within 15 s, and leaves no process."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path

import httpx
import pytest

from support.load import children, client_of, instance_in, living, send_slowly, serving_many, side_by_side, wait_until
from support.mariadb_server import free_port
from support.server_process import TIMEOUT_SECONDS, Server, running

pytestmark = pytest.mark.slow

REQUEST_SECONDS = [0.1, *(n / 4 for n in range(1, 21))]
SHORT_REQUEST_SECONDS = REQUEST_SECONDS[:9]
STOP_SECONDS = 15
GRACE_PERIOD_SECONDS = 10
APP = """
import asyncio, os, sys, time
from quart import Quart, websocket
from app.lib import logs
from app.lib.server.serve import listen, serve_app

workers, manner, bind = sys.argv[1:]
app = Quart("test")

@app.get("/<path>")
async def respond(path):
    if path == "pid":
        return str(os.getpid())
    if path == "large":
        return b"x" * 2**25  # more than the kernel buffers
    time.sleep(3600 if path == "blocked" else 0)
    await asyncio.sleep(3600)

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
sys.exit(serve_app(app, listen(bind, workers=int(workers))))
"""
TEST_APP = (sys.executable, "-c", APP)
HANDSHAKE = "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MTIzNA==\r\n"
STOPS: list[tuple[int, Callable[[int, int], None], list[signal.Signals]]] = [
    (1, os.kill, [signal.SIGTERM]),
    (2, os.kill, [signal.SIGTERM]),
    (4, os.kill, [signal.SIGTERM]),
    (1, os.killpg, [signal.SIGINT]),  # Ctrl-C
    (2, os.killpg, [signal.SIGINT]),
    (2, os.killpg, [signal.SIGTERM, signal.SIGINT, signal.SIGTERM]),
]


@pytest.fixture
def instance(tmp_path: Path, sqlite_template: Path) -> Path:
    return instance_in(tmp_path / "site", sqlite_template)


def act_during(requests: list[float], server: Server, act: Callable[[], None]) -> list[int | str]:
    """Call `act` while requests that last so many seconds are under way, and return their statuses."""

    async def send_and_act() -> list[int | str]:
        begun = asyncio.Barrier(len(requests) + 1)
        async with client_of(server) as client:
            tasks = [asyncio.create_task(send_slowly(client, seconds, begun)) for seconds in requests]
            await begun.wait()
            await asyncio.sleep(0.05)
            await asyncio.to_thread(act)
            return [outcome.status for outcome in await asyncio.gather(*tasks)]

    return asyncio.run(send_and_act())


def test_a_stop_loses_no_request_and_leaves_no_process_or_connection(tmp_path: Path, sqlite_template: Path) -> None:
    folders = [instance_in(tmp_path / str(number), sqlite_template) for number in range(len(STOPS))]

    side_by_side(check_stop, folders, *zip(*STOPS, strict=True))


def check_stop(folder: Path, workers: int, kill: Callable[[int, int], None], signals: list[signal.Signals]) -> None:
    def stop() -> None:
        for number in signals:
            kill(server.process.pid, number)
            time.sleep(0.5 if len(signals) > 1 else 0)

    with serving_many(folder, workers=workers) as server:
        processes, since = children(server.process.pid), time.monotonic()
        statuses = act_during(REQUEST_SECONDS, server, stop)
        exit_code = server.process.wait(TIMEOUT_SECONDS)
        seconds = time.monotonic() - since

    log = server.log.read_text()
    assert statuses == [303] * len(REQUEST_SECONDS), log
    assert (exit_code, living(processes)) == (0, set())
    assert REQUEST_SECONDS[-1] < seconds < STOP_SECONDS
    stopped = [line for line in log.splitlines() if " stopped " in line]
    assert ["Connections in pool: 0" in line for line in stopped] == [True] * workers
    assert "Traceback" not in log
    assert not (folder / "app.db-wal").exists()  # SQLite removes it with the last connection


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
def test_without_a_proxy_or_on_ctrl_c_the_port_and_idle_connections_are_closed_at_once(
    instance: Path, number: signal.Signals, proxies: str
) -> None:
    with running(instance, TRUSTED_PROXIES=proxies) as server, closing(connect(server)) as idle:
        idle.request("GET", "/healthz")
        assert idle.getresponse().read()
        since = time.monotonic()
        server.process.send_signal(number)
        time.sleep(0.3)

        with pytest.raises(httpx.ConnectError):
            server.get("/healthz")
        assert server.process.wait(TIMEOUT_SECONDS) == 0
        assert time.monotonic() - since < GRACE_PERIOD_SECONDS - 2


@pytest.mark.parametrize("started_workers", [1, 2, 3, 5])
def test_a_signal_while_the_workers_start_stops_them(instance: Path, started_workers: int) -> None:
    with running(instance, "--workers", "8", workers=0) as server:
        while len(workers := children(server.process.pid)) < started_workers:
            assert server.process.poll() is None
        since = time.monotonic()
        assert server.end() == 0
        assert time.monotonic() - since < STOP_SECONDS
        assert living(workers) == set()


def test_a_worker_that_receives_sigterm_finishes_its_requests_and_is_replaced(instance: Path) -> None:
    with serving_many(instance, workers=2) as server:
        before = children(server.process.pid)
        first = min(before)
        statuses = act_during(SHORT_REQUEST_SECONDS, server, lambda: os.kill(first, signal.SIGTERM))

        assert statuses == [303] * len(SHORT_REQUEST_SECONDS)
        server.wait_for(lambda: server.starts == 3)
        after = children(server.process.pid)
        assert (len(after), before - after) == (2, {first})
        assert server.end() == 0


def test_a_worker_that_is_killed_at_once_is_replaced_and_its_queue_is_served(tmp_path: Path) -> None:
    with serving_test_app(tmp_path, 2) as server, ExitStack() as stack:
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

        statuses = act_during(SHORT_REQUEST_SECONDS, server, server.process.kill)
        assert statuses == [303] * len(SHORT_REQUEST_SECONDS)
        wait_until(lambda: living(workers) == set())
        with socket.create_server(("127.0.0.1", int(server.address.split(":")[1]))):
            pass  # the port is free


@pytest.mark.parametrize("workers", [1, 2])
def test_no_client_can_prevent_the_stop(tmp_path: Path, workers: int) -> None:
    """Neither an endless request, nor a client that does not read, nor an open websocket."""
    assert stop_with_open_requests(tmp_path, workers, ["never", "large", "socket"]) == (0, workers)


def test_a_blocked_worker_cannot_prevent_the_stop(tmp_path: Path) -> None:
    assert stop_with_open_requests(tmp_path, 2, ["blocked"]) == (1, 1)  # the master kills it


def stop_with_open_requests(folder: Path, workers: int, paths: list[str]) -> tuple[int, int]:
    """Return the exit code, and how many processes have shut the app down."""
    with serving_test_app(folder, workers) as server, ExitStack() as stack:
        for path in paths:
            client = stack.enter_context(connect(server).sock)
            headers = HANDSHAKE if path == "socket" else ""
            client.sendall(f"GET /{path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode())
            time.sleep(0.2)
        since = time.monotonic()
        exit_code = server.end()
        assert time.monotonic() - since < STOP_SECONDS + 5
        return exit_code, server.log.read_text().count("after_serving")


def serving_test_app(folder: Path, workers: int) -> AbstractContextManager[Server]:
    address = f"127.0.0.1:{free_port()}"
    return running(folder, str(workers), "living", address, command=TEST_APP, workers=workers, address=address)
