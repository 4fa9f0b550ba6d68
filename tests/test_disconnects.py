"""A client that disconnects cancels the view, and not the transaction that the view waits for."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Role, db
from served_sites import served

REQUEST = b"GET /about HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def is_written(session: AsyncSession) -> bool:
    return await session.scalar(select(Role).where(Role.name == "written")) is not None


async def test_a_transaction_completes_when_its_client_disconnects(settings: dict[str, Any]) -> None:
    is_writing, is_cancelled = asyncio.Event(), asyncio.Event()

    async def write_slowly(session: AsyncSession) -> None:
        is_writing.set()
        await is_cancelled.wait()
        session.add(Role(name="written"))

    async def view() -> str:
        try:
            await db.write(write_slowly)
        finally:
            is_cancelled.set()
        return "written"

    async with served(settings) as site, asyncio.timeout(10):
        site.app.view_functions["main_pages.about"] = view
        _, client = await asyncio.open_connection("127.0.0.1", urlsplit(site.url).port)
        client.write(REQUEST)
        await is_writing.wait()
        client.close()
        await is_cancelled.wait()
        await asyncio.sleep(0.5)
        async with site.app.app_context():
            assert await db.read(is_written)
