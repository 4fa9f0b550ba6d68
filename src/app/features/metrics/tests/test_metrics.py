"""The metrics of one process: the outbox, and a database, port or folder that cannot be used."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from quart import Quart
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.metrics.tests.scraping import scrape
from app.lib import clock
from app.models import Email, User
from app.services import outbox
from app.services.client import COMMAND_LINE
from support.actions import create_user, execute, scalars, write
from support.app import both_databases, serving


@pytest.fixture
async def app(settings: dict[str, Any]) -> AsyncIterator[Quart]:
    async with serving(settings) as app:
        await app.extensions["mail_worker"].stop()
        yield app


async def enqueue(session: AsyncSession, user: User) -> None:
    for _ in range(5):
        await outbox.enqueue(session, "welcome", user, client=COMMAND_LINE)


@both_databases
async def test_the_emails_in_the_outbox_and_the_age_of_the_oldest_are_measured(app: Quart) -> None:
    await write(app, enqueue, await create_user(app))
    hour = timedelta(hours=1)
    states: list[dict[str, Any]] = [
        {"created_on": clock.now() - hour},
        {"tries": 3, "created_on": clock.now() - 3 * hour, "due_on": clock.now() + hour},
        {"due_on": None, "sent_on": clock.now(), "created_on": clock.now() - 9 * hour},
        {"expires_on": clock.now() - hour, "created_on": clock.now() - 9 * hour},
    ]
    ids = await scalars(app, select(Email.id).order_by(Email.id))
    for email_id, state in zip(ids, states, strict=False):  # the last one stays as it is
        await execute(app, update(Email).where(Email.id == email_id).values(**state))

    found = await scrape(app.config["METRICS_BIND"])
    assert [found.sum("site_outbox_emails", tried=tried) for tried in ("no", "yes")] == [2, 1]
    ages = [found.sum("site_outbox_oldest_age_seconds", tried=tried) for tried in ("no", "yes")]
    assert ages == pytest.approx([3600, 10800], abs=30)


@pytest.fixture
def silent() -> Iterator[str]:
    """Return the IP address and port of a server that accepts connections and sends nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


async def test_a_database_that_is_down_or_frozen_does_not_stop_the_other_metrics(
    settings: dict[str, Any], silent: str
) -> None:
    for address in ("127.0.0.1:1", silent):
        uri = f"mysql+aiomysql://nouser@{address}/nowhere"
        needed = {"SQLALCHEMY_DATABASE_URI": uri, "DATABASE_TIMEOUT": 8}
        async with serving(settings | needed) as app, asyncio.timeout(5):
            found = await scrape(app.config["METRICS_BIND"])

        assert found.values["site_database_up", ()] == 0
        assert [name for name, _ in found.values if "outbox" in name] == []


async def test_a_port_in_use_is_logged_once_and_the_site_works(
    settings: dict[str, Any], silent: str, log: pytest.LogCaptureFixture
) -> None:
    async with serving(settings | {"METRICS_BIND": silent}) as app:
        assert (await app.test_client().get("/")).status_code == 200

    (line,) = [line for line in log.text.splitlines() if " metrics_unavailable " in line]
    assert "Address already in use" in line


@pytest.fixture
def no_folder(folder: Path) -> None:
    folder.write_text("a file where the folder should be")


@pytest.mark.usefixtures("no_folder")
async def test_a_folder_that_cannot_be_used_is_logged_and_the_site_works(
    settings: dict[str, Any], log: pytest.LogCaptureFixture
) -> None:
    async with serving(settings) as app:
        assert (await app.test_client().get("/")).status_code == 200
    assert " metrics_unavailable " in log.text
