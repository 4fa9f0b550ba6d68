"""Management commands: `quart --app run users create ada@example.com`.

Each ends with exit code 0, or with 1 and one line that says what was wrong. The shell is not among them: Quart finds it
through the entry point in pyproject.toml, which takes the place of Quart's own.
"""

import click
from quart import Quart
from quart.cli import AppGroup
from werkzeug.utils import import_string

COMMANDS = {
    "check": "app.cli.check:check",
    "mail": "app.cli.mail:mail_group",
    "roles": "app.cli.roles:roles_group",
    "sweep": "app.cli.sweep:sweep",
    "translations": "app.cli.translations:translations",
    "users": "app.cli.users:users",
}


class Commands(AppGroup):
    """Our commands, each imported when somebody asks for it: a process that serves asks for none."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS:
            command: click.Command = import_string(COMMANDS[cmd_name])
            return command
        return super().get_command(ctx, cmd_name)


def init_app(app: Quart) -> None:
    app.cli = Commands(app.name)
