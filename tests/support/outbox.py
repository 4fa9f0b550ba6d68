"""E-mails in the outbox."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from quart import Quart

from app.mail import worker
from app.models import User
from app.services import outbox
from app.services.client import COMMAND_LINE
from support.actions import EMAIL, write
from support.app import ROOT, serving
from support.mail_helpers import mails
from support.server_process import TIMEOUT_SECONDS
from support.smtp_server import MailServer
from support.user_agents import FIREFOX

HOSTILE_EMAIL = "a&b'c@example.com"
PUBLIC = {"BASE_URL": "https://www.example.com"}
FACTS = {"user_agent": FIREFOX, "ip": "192.0.2.7", "time": "2030-01-02T03:04:00+00:00", "new_email": "new@example.com"}
TEMPLATES = sorted(path.stem for path in (ROOT / "src/app").rglob("emails/*.txt"))
ALL_LINK = ("change_email", "confirm", "reset")  # these contain nothing but a link


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    with MailServer().running() as running:
        yield running


@pytest.fixture
def mail_settings(settings: dict[str, Any], mail_server: MailServer) -> dict[str, Any]:
    return settings | mail_server.settings


@pytest.fixture
async def outbox_app(mail_settings: dict[str, Any]) -> AsyncIterator[Quart]:
    async with serving_still(mail_settings) as app:
        yield app


@asynccontextmanager
async def serving_still(settings: dict[str, Any]) -> AsyncIterator[Quart]:
    """Run a site that delivers e-mails only when the test calls `deliver`."""
    async with serving(settings) as app:
        await app.extensions["mail_worker"].stop()
        yield app


async def post(app: Quart, template: str = "test", *, to: str = EMAIL, **what: Any) -> None:
    """Put an e-mail into the outbox."""
    await write(app, outbox.enqueue, template, User(id=7, email=to), client=COMMAND_LINE, **what)


async def deliver(app: Quart) -> int:
    """Deliver all that is due, and return how many deliveries were tried."""
    tried = 0
    async with app.app_context():
        while some := await worker.deliver_batch():
            tried += some
    return tried


async def states(app: Quart) -> list[tuple[str, int]]:
    """Return the state of each e-mail, and how often it was tried."""
    return [(mail.state, mail.tries) for mail in await mails(app)]


async def is_logged(log: pytest.LogCaptureFixture, event: str, *, times: int = 1) -> None:
    """Wait until an event is in the log."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while log.text.count(event) < times:
        assert time.monotonic() < deadline, log.text
        await asyncio.sleep(0.02)
