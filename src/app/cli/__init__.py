"""Management commands: `quart --app run users create ada@example.com`.

Each ends with exit code 0, or with 1 and one line that says what was wrong. The shell is not among them: Quart finds it
through the entry point in pyproject.toml, which takes the place of Quart's own.
"""

from quart import Quart

from app.cli.check import check
from app.cli.mail import mail_group
from app.cli.roles import roles_group
from app.cli.sweep import sweep
from app.cli.translations import translations
from app.cli.users import users


def init_app(app: Quart) -> None:
    for command in (users, roles_group, mail_group, sweep, check, translations):
        app.cli.add_command(command)
