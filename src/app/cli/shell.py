"""`quart --app run shell`: IPython inside the app, with its models and services, and `await` at the prompt.

Quart finds it through the entry point in pyproject.toml, which replaces Quart's own shell.
"""

import asyncio
import contextvars
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import click
from IPython.terminal.interactiveshell import TerminalInteractiveShell
from quart import Quart
from quart.cli import ScriptInfo, pass_script_info
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app import models, services
from app.lib.db import db
from app.services import roles, sessions, users

BANNER = """app, db, session, models, services · User, Role, UserSession, … · select, func
await session.scalar(select(func.count(User.id)))
(await session.scalars(select(User))).all()
await db.read(users.find_by_email, email="ada@example.com")
await session.rollback()    # then queries see what other transactions have committed
"""


@click.command("shell")
@pass_script_info
def shell(info: ScriptInfo) -> None:
    """Open a Python shell inside the app."""
    run_shell(info.load_app())


def run_shell(app: Quart) -> None:
    """Run IPython on an event loop that `await` at the prompt uses, so that Ctrl-C cancels only the awaited call."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    context = contextvars.copy_context()

    def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
        return loop.run_until_complete(loop.create_task(coroutine, context=context))

    app_context = app.app_context()
    run(app_context.push())
    session = context.run(lambda: AsyncSession(db.engine, expire_on_commit=False))
    try:
        context.run(interact, loop, names(app, session))
    finally:
        run(session.close())
        run(db.dispose())
        run(app_context.pop(None))
        loop.close()


def names(app: Quart, session: AsyncSession) -> dict[str, Any]:
    modules = {"models": models, "services": services, "users": users, "roles": roles, "sessions": sessions}
    tables = {name: getattr(models, name) for name in models.__all__}
    return {"app": app, "db": db, "session": session, "select": select, "func": func} | modules | tables


def interact(loop: asyncio.AbstractEventLoop, namespace: dict[str, Any]) -> None:
    # IPython.embed cannot run inside a running loop. So IPython runs outside, and each awaited line runs on the loop.
    shell = TerminalInteractiveShell.instance(user_ns=namespace, banner2=BANNER)

    def run_line(coroutine: Coroutine[Any, Any, Any]) -> Any:
        line = loop.create_task(coroutine)
        try:
            return loop.run_until_complete(line)
        except KeyboardInterrupt:
            line.cancel()
            with suppress(asyncio.CancelledError):
                loop.run_until_complete(line)
            raise

    shell.loop_runner = run_line
    shell.loop_runner_map["asyncio"] = (run_line, True)
    shell.autoawait = True
    shell.show_banner()  # type: ignore[no-untyped-call]
    shell.mainloop()  # type: ignore[no-untyped-call]
