"""Decorators of commands: run inside the app, and show an expected error as one line."""

import asyncio
import functools
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import click
from email_validator import EmailNotValidError
from quart import Quart
from quart.cli import ScriptInfo, pass_script_info

from app.lib import logs
from app.lib.db import DatabaseUnavailable, db
from app.lib.db.startup_checks import StartupError, check_database_ready
from app.lib.errors import ServiceError

EXPECTED_ERRORS = (ServiceError, StartupError, DatabaseUnavailable, EmailNotValidError, UnicodeEncodeError)


def with_app(function: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run a command inside the app, on an event loop of its own."""

    async def run(app: Quart, *args: Any, **kwargs: Any) -> None:
        logs.set_up(app.config["LOG_FORMAT"])
        async with app.app_context():
            try:
                await check_database_ready()
                await function(*args, **kwargs)
            finally:
                await db.dispose()

    @pass_script_info
    @functools.wraps(function)
    def command(info: ScriptInfo, *args: Any, **kwargs: Any) -> None:
        try:
            asyncio.run(run(info.load_app(), *args, **kwargs))
        except EXPECTED_ERRORS as error:
            raise click.ClickException(" ".join(str(error).split())) from error

    return command


def password_option(function: Callable[..., None]) -> Callable[..., None]:
    """Pass a password to a command. As an argument it would be visible in the list of processes.

    It is prompted for, or read from standard input, before an event loop runs, so that Ctrl-C ends the prompt.
    """

    @functools.wraps(function)
    def command(*args: Any, **kwargs: Any) -> None:
        if sys.stdin.isatty():
            password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        else:
            password = sys.stdin.readline().rstrip("\n")
        function(*args, password=password, **kwargs)

    return command
