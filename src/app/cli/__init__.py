"""Management commands: `quart --app run users create ada@example.com`.

Each command exits with 0, or prints the error on one line and exits with 1. The shell is not in this list: Quart finds
it through the entry point in pyproject.toml, which replaces Quart's own shell.
"""

import click
from quart import Quart
from quart.cli import AppGroup
from werkzeug.utils import import_string

from app.services.extension_points import ROOT

COMMANDS = {
    "check": "app.cli.check:check",
    "mail": "app.cli.mail:mail_group",
    "new": "app.cli.new:new",
    "purge": "app.cli.purge:purge",
    "roles": "app.cli.roles:roles_group",
    "translations": "app.cli.translations:translations",
    "users": "app.cli.users:users_group",
}


class Commands(AppGroup):
    """The commands of the app and its features, each imported when it is first used, because a server uses none."""

    def __init__(self, app: Quart) -> None:
        super().__init__(app.name, commands=app.cli.commands)  # includes the commands of blueprints
        self.paths = COMMANDS | app.extensions["extension_points"].commands.get(ROOT, {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self.paths})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self.paths:
            command: click.Command = import_string(self.paths[cmd_name])
            return command
        return super().get_command(ctx, cmd_name)


def init_app(app: Quart) -> None:
    app.cli = Commands(app)
