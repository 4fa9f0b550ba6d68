"""Background tasks of each process: deliver e-mails, and purge expired rows."""

import asyncio
import os
import random
import time
from collections.abc import AsyncGenerator
from logging import ERROR, WARNING

from quart import Quart
from sqlalchemy.exc import SQLAlchemyError

from app.lib import logs
from app.lib.db import db
from app.lib.passwords import hasher
from app.lib.settings.loader import unknown_settings
from app.mail.dev_mailbox import mailbox_path
from app.mail.worker import MailWorker, wake_after_request
from app.services import authentication, expiry
from app.services.extension_points import Expiring

PURGE_INTERVAL_SECONDS = 600
PAUSE_SECONDS = 0.02  # at least, between two batches: other transactions get the lock of SQLite


def init_app(app: Quart) -> None:
    """Register the tasks. Call this after db.init_app: the functions registered last run last."""
    hasher.init_app(app)
    app.before_serving(authentication.prepare_hasher)
    app.after_request(wake_after_request)

    @app.while_serving
    async def work_while_serving() -> AsyncGenerator[None, None]:
        logs.record("started", pid=os.getpid())
        for name, closest in unknown_settings(app):
            logs.record("unknown_setting", level=WARNING, name=name, closest=closest)
        if app.config["MAIL_DEV_MAILBOX"]:
            logs.record("dev_mailbox", url=f"{app.config['BASE_URL']}{mailbox_path()}")
        purging = asyncio.create_task(purge_regularly(app))
        app.extensions["mail_worker"] = worker = MailWorker(app)
        yield
        purging.cancel()
        await asyncio.gather(purging, return_exceptions=True)  # until its connection is returned
        await worker.stop()

    app.after_serving(lambda: logs.record("stopped", pid=os.getpid(), pool=db.engine.pool.status()))


async def purge_regularly(app: Quart) -> None:
    while True:
        # A random interval, so that the workers do not purge at the same time.
        await asyncio.sleep(random.uniform(0.5, 1.5) * PURGE_INTERVAL_SECONDS)  # noqa: S311
        try:
            async with app.app_context():
                await purge_all()
        except Exception as error:  # noqa: BLE001 # any error: the next round may succeed
            logs.record("purge_failed", level=ERROR, reason=f"{type(error).__name__}: {error}")


async def purge_all() -> int:
    """Purge the expired rows of every table, and return how many were deleted.

    If the rows of one table cannot be deleted, the others are purged first. Then the error is raised.
    """
    purged, errors = 0, []
    for table in expiry.expiring_tables():
        try:
            purged += await purge_table(table)
        except SQLAlchemyError as error:
            errors.append(error)
    if purged:
        logs.record("purged", rows=purged)
    if errors:
        raise errors[0]
    return purged


async def purge_table(table: Expiring) -> int:
    """Purge the expired rows of a table in batches, and return how many were deleted."""
    purged, started = 0, time.monotonic()
    while rows := await db.write(expiry.purge_expired, table):
        purged += rows
        await asyncio.sleep(max(PAUSE_SECONDS, time.monotonic() - started))  # half of the time is for others
        started = time.monotonic()
    return purged
