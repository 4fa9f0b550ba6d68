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
from werkzeug.utils import import_string

from app.lib import logs
from app.lib.db import DatabaseUnavailable, db
from app.lib.db.startup_checks import StartupError, check_database_ready
from app.lib.errors import ServiceError
from app.models import Base

EXPECTED_ERRORS = (ServiceError, StartupError, DatabaseUnavailable, EmailNotValidError, UnicodeEncodeError)


class ExtensibleGroup(click.Group):
    """A group to which features add commands (services/extension_points.py)."""

    def added(self, ctx: click.Context) -> dict[str, str]:
        """Return the import paths of the commands of features, by their names."""
        app = ctx.ensure_object(ScriptInfo).load_app()
        commands: dict[str, str] = app.extensions["extension_points"].commands.get(self.name, {})
        return commands

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self.added(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if (command := super().get_command(ctx, cmd_name)) is not None:
            return command
        path = self.added(ctx).get(cmd_name)
        return import_string(path) if path else None


def with_app(function: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run a command inside the app, on an event loop of its own."""

    async def run(app: Quart, *args: Any, **kwargs: Any) -> None:
        logs.set_up(app.config["LOG_FORMAT"])
        async with app.app_context():
            try:
                await check_database_ready(Base.metadata)
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
    """Prompt for a password, or read it from standard input, and pass it to a command.

    As an argument, a password would be visible in the list of processes. The prompt runs before the event loop, so that
    Ctrl-C ends it.
    """

    @functools.wraps(function)
    def command(*args: Any, **kwargs: Any) -> None:
        if sys.stdin.isatty():
            password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        else:
            password = sys.stdin.readline().rstrip("\n")
        function(*args, password=password, **kwargs)

    return command
