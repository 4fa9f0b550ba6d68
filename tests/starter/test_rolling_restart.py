"""Two servers behind HAProxy with deploy/haproxy.cfg, restarted one after the other under load."""

import asyncio
import socket
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.app import UNLIMITED
from support.load import Crowd, instance_in, serving_many
from support.mariadb_server import free_port
from support.proxy_process import PROGRAM, running_proxy
from support.server_process import Server, running

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="no haproxy on this machine: apt-get install haproxy"),
]

NOTICED_SECONDS = 1  # time for HAProxy to send requests to a server that is ready again


def test_a_rolling_restart_under_load_loses_no_request(tmp_path: Path, sqlite_template: Path) -> None:
    port, addresses = free_port(), (f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}")
    database = instance_in(tmp_path / "database", sqlite_template) / "app.db"

    with ExitStack() as stack:

        def start(address: str) -> Server:
            folder = tmp_path / address
            folder.mkdir(exist_ok=True)
            serving = serving_many(folder, workers=2, uri=f"sqlite:///{database}", address=address, proxies=1)
            return stack.enter_context(serving)

        servers = [start(address) for address in addresses]
        stack.enter_context(running_proxy(tmp_path, port=port, sites=addresses))
        crowd = Crowd(replace(servers[0], address=f"127.0.0.1:{port}"), people=4, watched=("/healthz", "/") * 6)
        asyncio.run(restart_under_load(crowd, servers, start))

    assert {outcome.status for outcome in crowd.outcomes} == {200, 303}
    assert len(crowd.acknowledged) > 20
    with closing(sqlite3.connect(database)) as connection:
        stored = {email for (email,) in connection.execute("SELECT email FROM user")}
    assert set(crowd.acknowledged) <= stored


def test_a_restart_of_the_only_server_loses_no_request_if_it_inherits_its_socket(instance: Path) -> None:
    port, unused = free_port(), f"127.0.0.1:{free_port()}"
    settings: dict[str, Any] = {"TRUSTED_PROXIES": "1"} | UNLIMITED
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1024))

        def start(_address: str) -> Server:
            return stack.enter_context(running(instance, "--workers=2", workers=2, listener=listener, **settings))

        server = start("")
        stack.enter_context(running_proxy(instance, port=port, sites=(server.address, unused)))
        crowd = Crowd(replace(server, address=f"127.0.0.1:{port}"), people=4, watched=("/healthz", "/") * 6)
        asyncio.run(restart_under_load(crowd, [server], start))

    assert {outcome.status for outcome in crowd.outcomes} == {200, 303}


async def restart_under_load(crowd: Crowd, servers: list[Server], start: Callable[[str], Server]) -> None:
    async with crowd.at_work(), asyncio.TaskGroup() as tasks:
        for _ in range(6):
            tasks.create_task(crowd.post_forms())
        for server in servers:
            await asyncio.sleep(NOTICED_SECONDS)
            assert await asyncio.to_thread(server.end) == 0
            await asyncio.to_thread(start, server.address)
        await asyncio.sleep(NOTICED_SECONDS)
        crowd.go_on = False
