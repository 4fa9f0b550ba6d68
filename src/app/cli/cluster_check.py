"""The check of a Galera cluster: all connections must reach the same node."""

from contextlib import AsyncExitStack

from quart import current_app
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.lib.db import db
from app.lib.db.engine import pool_capacity

MAX_CONNECTIONS = 6
GUIDE = "docs/how-to/run-several-machines.md"


async def check_writer() -> list[str]:
    """Open several connections, and compare the nodes that they reach. Without Galera, each node is None."""
    number = min(MAX_CONNECTIONS, pool_capacity(current_app.config["SQLALCHEMY_ENGINE_OPTIONS"]))
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(db.engine.connect()) for _ in range(number)]
        nodes = {await find_node(connection) for connection in connections}
    if len(nodes) > 1:
        return [f"the connections reach {len(nodes)} nodes of a Galera cluster instead of one: see {GUIDE}"]
    return []


async def find_node(connection: AsyncConnection) -> str | None:
    row = (await connection.execute(text("SHOW STATUS LIKE 'wsrep_gcomm_uuid'"))).one_or_none()
    return str(row[1]) if row else None
