"""A listening socket from a supervisor, as deploy/site.socket opens it: connections wait in it during a restart."""

import asyncio
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from support.load import Crowd
from support.server_process import Server, refusal, running

pytestmark = pytest.mark.programs


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as opened:
        yield opened


@pytest.mark.parametrize("workers", [1, 2])
def test_a_restart_on_an_inherited_socket_loses_no_request(
    instance: Path, listener: socket.socket, workers: int
) -> None:
    with ExitStack() as stack:

        def start() -> Server:
            serving = running(instance, "--workers", str(workers), workers=workers, listener=listener)
            return stack.enter_context(serving)

        crowd = Crowd(start(), people=0, watched=())
        asyncio.run(restart_under_load(crowd, start))

    assert {outcome.status for outcome in crowd.outcomes} == {303}


async def restart_under_load(crowd: Crowd, start: Callable[[], Server]) -> None:
    async with crowd.at_work(), asyncio.TaskGroup() as tasks:
        for connection in ("keep-alive", "close") * 2:
            tasks.create_task(crowd.post_forms(connection))
        await crowd.have_sent("/language", 20)
        assert await asyncio.to_thread(crowd.server.end) == 0
        await asyncio.to_thread(start)
        await crowd.have_sent("/language", 50)
        crowd.go_on = False


def test_a_request_that_arrives_just_after_the_signal_is_answered(instance: Path, listener: socket.socket) -> None:
    """A proxy may have connected before the signal, and send its request after it."""
    with running(instance, listener=listener, TRUSTED_PROXIES="1") as server, ExitStack() as stack:
        address = server.address
        connections = [stack.enter_context(closing(HTTPConnection(address, timeout=5))) for _ in range(2)]
        for connection in connections:
            connection.connect()
        connections[0].request("GET", "/healthz")
        connections[0].getresponse().read()
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)  # the signal has arrived, and the connections are not closed yet

        for connection in connections:
            connection.request("GET", "/readyz")
            response = connection.getresponse()
            assert (response.status, response.getheader("Connection")) == (200, "close")


def test_without_the_socket_the_start_is_refused(instance: Path) -> None:
    assert refusal(instance, BIND="fd://3") == "Cannot listen on fd://3: Bad file descriptor"
