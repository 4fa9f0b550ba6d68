"""The mail worker: each process delivers the outbox while it serves requests."""

import asyncio
import random
from contextlib import suppress
from logging import ERROR, WARNING
from typing import Any

from quart import Quart, Response, current_app

from app.auth.email_links import redact_tokens
from app.lib import logs
from app.lib.db import db
from app.mail import rendering, smtp
from app.models import Email
from app.services import outbox

POLL_INTERVAL_SECONDS = 10  # for e-mails of other processes, and for retries
BATCH_SIZE = 5  # e-mails that are delivered at once
SHUTDOWN_TIMEOUT_SECONDS = 2  # for a delivery that is running when the server stops


class MailWorker:
    """A task that delivers e-mails until it is stopped."""

    def __init__(self, app: Quart) -> None:
        self.app = app
        self.wakeup = asyncio.Event()
        self.is_stopping = False
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while not self.is_stopping:
            self.wakeup.clear()
            try:
                async with self.app.app_context():
                    while not self.is_stopping and self.app.config["MAIL_ENABLED"] and await deliver_batch():
                        pass
            except Exception as error:  # noqa: BLE001 # any error: the next round may succeed
                logs.record("mail_worker_failed", level=ERROR, reason=f"{type(error).__name__}: {error}")
            # A random interval, so that the workers do not query the database at the same time.
            with suppress(TimeoutError):
                await asyncio.wait_for(self.wakeup.wait(), random.uniform(0.5, 1.5) * POLL_INTERVAL_SECONDS)  # noqa: S311

    async def stop(self) -> None:
        """Stop, and give a running delivery a short time to finish."""
        self.is_stopping = True
        self.wakeup.set()
        await asyncio.wait({self.task}, timeout=SHUTDOWN_TIMEOUT_SECONDS)
        self.task.cancel()
        await asyncio.wait({self.task}, timeout=SHUTDOWN_TIMEOUT_SECONDS)  # until its connection is returned


async def deliver_batch() -> int:
    """Deliver some of the e-mails that are due, and return how many were tried."""
    due = await db.read(outbox.list_due, limit=BATCH_SIZE)
    claimed = [await db.write(outbox.claim, id_, tries=tries) for id_, tries in due]
    emails = [email for email in claimed if email is not None]
    results = await asyncio.gather(*(deliver(email) for email in emails), return_exceptions=True)
    for error in filter(None, results):
        raise error
    return len(emails)


async def deliver(email: Email) -> None:
    """Send an e-mail, or keep it if there is no MAIL_SERVER, and store the result."""
    facts: dict[str, Any] = {"mail": email.id, "template": email.template, "user": email.user_id}
    try:
        rendered = await rendering.render(email)
        if current_app.config["MAIL_SERVER"]:
            await smtp.send(email, rendered)
    except Exception as error:  # noqa: BLE001 # also a template that fails: it must not hold up other e-mails
        await handle_failure(email, error, facts)
        return
    if current_app.config["MAIL_SERVER"]:
        await db.write(outbox.mark_sent, email)
        logs.record("email_sent", **facts, tries=email.tries)
    else:
        await db.write(outbox.mark_failed, email)
        logs.record("email_kept", **facts, subject=rendered.subject, link=rendered.link)


async def handle_failure(email: Email, error: Exception, facts: dict[str, Any]) -> None:
    reason = redact_tokens(f"{type(error).__name__}: {error}")  # servers quote what they refuse
    if smtp.is_permanent_failure(error):
        await db.write(outbox.mark_failed, email, error=reason)
        logs.record("email_failed", level=WARNING, **facts, reason=reason)
    else:
        await db.write(outbox.reschedule, email, error=reason)
        logs.record("email_retry", level=WARNING, **facts, reason=reason)


async def wake_after_request(response: Response) -> Response:
    """Wake the worker after a request that has enqueued an e-mail."""
    worker: MailWorker | None = current_app.extensions.get("mail_worker")
    if worker is not None and outbox.ENQUEUED in db.info:
        worker.wakeup.set()
    return response
