"""Two machines of the site, each with its proxies, on three Galera nodes with the files in deploy/, under load.

A node is killed, frozen, restarted or cut off. No change that the site acknowledged before or meanwhile is lost.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pymysql
import pytest

from app.app_factory import create_app
from app.cli import deployment_checks
from app.lib.db import db
from support.app import SECRET_KEY
from support.galera import MISSING, Node, running_cluster
from support.ledger import Ledger, reset_links
from support.machines import Machines, running_machines
from support.proxy_process import PROGRAM

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(MISSING is not None, reason=f"no Galera on this machine: {MISSING}"),
    pytest.mark.skipif(PROGRAM is None, reason="no haproxy on this machine: apt-get install haproxy"),
]

EXPECTED = {200, 303, 404, 422, 429, 503}  # 404: a link that was used; 422, 429: a wrong password
PHASES = 7  # calls of under_load
DEADLINE_SECONDS = 4 + 2  # DATABASE_TIMEOUT, and time to hash a password


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    with running_cluster() as cluster, running_machines(cluster, tmp_path_factory.mktemp("machines")) as machines:
        machines.links += asyncio.run(reset_links(cluster.uri(machines.both[0].ip), machines.urls[0], PHASES))
        yield machines


@asynccontextmanager
async def under_load(machines: Machines) -> AsyncIterator[Ledger]:
    """Run clients during the block. Then every node has every acknowledged change, and no race had two winners."""
    await complete(machines)
    ledger = Ledger(machines.urls, [machines.links.pop()])
    async with ledger.at_work():
        yield ledger
    assert {outcome.status for outcome in ledger.outcomes} <= EXPECTED
    assert [outcome.retry_after for outcome in ledger.to(503)] == ["5"] * len(ledger.to(503))
    assert (ledger.stale, ledger.passed) == ([], [])
    assert ledger.lost(machines.cluster.nodes) == []


async def problems(uri: str, instance: Path) -> list[str]:
    """Return the errors that `quart --app run check` reports."""
    app = create_app({"SECRET_KEY": SECRET_KEY, "INSTANCE_PATH": str(instance), "SQLALCHEMY_DATABASE_URI": uri})
    async with app.app_context():
        found = await deployment_checks.run_checks(app)
        await db.dispose()
    return found.problems


async def complete(machines: Machines) -> None:
    """Wait until every node is a part of the cluster, and both machines serve."""
    for node in machines.cluster.nodes:
        await asyncio.to_thread(node.wait_until_synced)
    await served(machines)


async def served(machines: Machines) -> Node:
    """Wait until both machines serve, and return the writer."""
    async with asyncio.timeout(30), httpx.AsyncClient() as client:
        while True:
            with suppress(httpx.HTTPError, pymysql.err.MySQLError):
                statuses = [(await client.get(f"{url}/readyz")).status_code for url in machines.urls]
                if statuses == [200, 200]:
                    return machines.writer()
            await asyncio.sleep(0.2)


async def test_healthy_machines_serve_every_request(machines: Machines) -> None:
    async with under_load(machines) as ledger:
        await asyncio.sleep(3)

    assert len(ledger.passwords) > 3
    assert ledger.to(503, "/account") == []


async def test_check_reports_connections_that_reach_several_nodes(machines: Machines, tmp_path: Path) -> None:
    reported = "the connections reach 3 nodes of a Galera cluster"

    with machines.balanced(tmp_path) as ip:
        assert any(reported in line for line in await problems(machines.cluster.uri(ip), tmp_path))
    assert not any("nodes" in line for line in await problems(machines.cluster.uri(machines.both[0].ip), tmp_path))


async def test_a_frozen_writer_is_replaced_and_does_not_return(machines: Machines) -> None:
    async with under_load(machines) as ledger:
        frozen = machines.writer()
        with frozen.frozen():
            await asyncio.sleep(10)
            assert await served(machines) is not frozen
        await asyncio.to_thread(frozen.wait_until_synced)
        await asyncio.sleep(5)  # until the proxies would use it again

    assert machines.writer() is not frozen
    assert ledger.has_few_failures()


async def test_a_killed_writer_is_replaced(machines: Machines) -> None:
    async with under_load(machines) as ledger:
        killed = machines.writer()
        killed.end(signal.SIGKILL)
        try:
            assert await served(machines) is not killed
            await asyncio.sleep(1)
        finally:
            killed.start()
        await asyncio.to_thread(killed.wait_until_synced)

    assert ledger.has_few_failures()


async def test_without_a_primary_component_responses_are_503_in_time_and_afterwards_normal(machines: Machines) -> None:
    async with under_load(machines) as ledger:
        writer = machines.writer()
        one, other = (node for node in machines.cluster.nodes if node is not writer)
        with one.frozen(), other.frozen():
            await asyncio.sleep(6)
        await complete(machines)

    assert len(ledger.to(503)) > 10
    assert max(outcome.took for outcome in ledger.to(503)) < DEADLINE_SECONDS
    async with under_load(machines) as ledger:
        await asyncio.sleep(2)
    assert ledger.to(503, "/account") == []


async def test_nodes_that_are_restarted_one_after_the_other_get_what_they_missed(machines: Machines) -> None:
    async with under_load(machines) as ledger:
        for node in machines.cluster.nodes:
            known = len(node.log())
            await asyncio.to_thread(node.stop)
            node.start()
            await complete(machines)
            assert "IST received" in node.log()[known:]  # the missing transactions, and not all data

    assert ledger.to(503, "/account") == []


async def test_sites_that_are_restarted_one_after_the_other_refuse_no_page(machines: Machines) -> None:
    async with under_load(machines) as ledger:
        for machine in machines.both:
            await asyncio.sleep(1)
            assert machine.server is not None
            assert await asyncio.to_thread(machine.server.end) == 0
            await asyncio.to_thread(machines.start_site, machine)
        await asyncio.sleep(1)

    assert ledger.to(503, "/account") == []
