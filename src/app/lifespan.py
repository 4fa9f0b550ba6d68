"""What a process does as it begins to serve, beside the requests, and as it ends."""

import asyncio
import os
from collections.abc import AsyncGenerator

from quart import Quart

from app import events
from app.mailer import Mailer, wake_after_requests
from app.models import db
from app.services import passwords
from app.sweeper import sweep_now_and_then


def init_app(app: Quart) -> None:
    """After the database: what is registered last runs last, and `stopped` tells what is left of its pool."""
    passwords.init_app(app)
    app.after_request(wake_after_requests)

    @app.while_serving
    async def work_while_serving() -> AsyncGenerator[None, None]:
        events.record("started", pid=os.getpid())
        if app.config["MAIL_STAYS"]:
            events.record("mail_stays", see=f"{app.config['BASE_URL']}/dev/mailbox")
        sweeping = asyncio.create_task(sweep_now_and_then(app))
        app.extensions["mailer"] = mailer = Mailer(app)
        yield
        sweeping.cancel()
        await mailer.stop()

    app.after_serving(lambda: events.record("stopped", pid=os.getpid(), pool=db.engine.pool.status()))
