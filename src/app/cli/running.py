"""How a command runs: inside the app, on a loop of its own, and with one line for what it refuses."""

import asyncio
import functools
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import click
from email_validator import EmailNotValidError
from quart import Quart
from quart.cli import ScriptInfo, pass_script_info

from app import events
from app.models import db
from app.models.core import DatabaseUnavailable
from app.preflight import NotReady, check_ready
from app.services.refusals import Refusal

REFUSALS = (Refusal, NotReady, DatabaseUnavailable, EmailNotValidError, UnicodeEncodeError)


def in_app(function: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run a command inside the app, on a loop of its own."""

    async def run(app: Quart, *args: Any, **kwargs: Any) -> None:
        events.set_up(app.config["LOG_FORMAT"])
        async with app.app_context():
            try:
                await check_ready()
                await function(*args, **kwargs)
            finally:
                await db.dispose()

    @pass_script_info
    @functools.wraps(function)
    def command(info: ScriptInfo, *args: Any, **kwargs: Any) -> None:
        try:
            asyncio.run(run(info.load_app(), *args, **kwargs))
        except REFUSALS as refusal:
            raise click.ClickException(" ".join(str(refusal).split())) from refusal

    return command


def asks_for_password(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command a password, which as an argument would stand in the list of processes.

    It is prompted for, or read from standard input; before any loop runs, so that Ctrl-C ends the prompt.
    """

    @functools.wraps(function)
    def command(*args: Any, **kwargs: Any) -> None:
        if sys.stdin.isatty():
            password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        else:
            password = sys.stdin.readline().rstrip("\n")
        function(*args, password=password, **kwargs)

    return command
