"""Management commands: `quart --app run users create ada@example.com`.

Each ends with exit code 0, or with 1 and one line that says what was wrong.
"""

import asyncio
import functools
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import click
from email_validator import EmailNotValidError
from quart import Quart, current_app
from quart.cli import ScriptInfo, pass_script_info

from app.config import DEFAULTS, database_url
from app.models import db
from app.models.core import DatabaseUnavailable
from app.preflight import NotReady, check_ready
from app.services import accounts, roles
from app.services.password_policy import PasswordRefused, check_password
from app.services.passwords import hash_password

REFUSALS = (
    accounts.EmailTaken,
    accounts.UnknownUser,
    roles.RoleTaken,
    roles.UnknownRole,
    DatabaseUnavailable,
    EmailNotValidError,
    NotReady,
    PasswordRefused,
)


def in_app(function: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run a command inside the app, on a loop of its own."""

    async def run(app: Quart, *args: Any, **kwargs: Any) -> None:
        async with app.app_context():
            try:
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


def read_password(email: str) -> str:
    """Prompt for a password, or take a line of standard input: an argument would stand in the list of processes."""
    if sys.stdin.isatty():
        password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.readline().rstrip("\n")
    check_password(password, email=email, length_min=current_app.config["SECURITY_PASSWORD_LENGTH_MIN"])
    return password


@click.group()
def users() -> None:
    """Manage the people with an account."""


@users.command("create")
@click.argument("email")
@click.option("--name")
@in_app
async def create_user(email: str, name: str | None) -> None:
    """Open an account; the password is asked for, or read from standard input."""
    hashed = await hash_password(read_password(email))
    user = await db.write(accounts.register, email=email, password_hash=hashed, name=name)
    click.echo(f"{user.id} {user}")


@users.command("list")
@in_app
async def list_users() -> None:
    """List everybody."""
    for user in await db.read(accounts.list_all):
        click.echo(f"{user.id} {user}{'' if user.active else ' (deactivated)'}")


@users.command("show")
@click.argument("email")
@in_app
async def show_user(email: str) -> None:
    """Show what is known of one account."""
    user = await db.read(accounts.get_by_email, email=email)
    facts = {"id": user.id, "name": user.name, "email": user.email, "phone": user.phone, "created": user.created_on}
    facts |= {"active": "yes" if user.active else "no", "roles": ", ".join(map(str, user.roles))}
    for name, fact in facts.items():
        click.echo(f"{name + ':':9}{'' if fact is None else fact}".rstrip())


@users.command("activate")
@click.argument("email")
@in_app
async def activate_user(email: str) -> None:
    """Open a closed account again."""
    await db.write(accounts.activate, email=email)


@users.command("deactivate")
@click.argument("email")
@in_app
async def deactivate_user(email: str) -> None:
    """Close an account and log it out everywhere."""
    await db.write(accounts.deactivate, email=email)


@users.command("set-password")
@click.argument("email")
@in_app
async def set_password(email: str) -> None:
    """Give an account another password and log it out everywhere."""
    await db.read(accounts.get_by_email, email=email)
    hashed = await hash_password(read_password(email))
    await db.write(accounts.set_password, email=email, password_hash=hashed)


@users.command("add-role")
@click.argument("email")
@click.argument("role")
@in_app
async def add_role(email: str, role: str) -> None:
    """Give an account a role."""
    await db.write(roles.add_to_user, email=email, role_name=role)


@users.command("remove-role")
@click.argument("email")
@click.argument("role")
@in_app
async def remove_role(email: str, role: str) -> None:
    """Take a role from an account."""
    await db.write(roles.remove_from_user, email=email, role_name=role)


@click.group("roles")
def roles_group() -> None:
    """Manage what an account may be."""


@roles_group.command("create")
@click.argument("name")
@click.option("--description")
@in_app
async def create_role(name: str, description: str | None) -> None:
    """Make a role."""
    await db.write(roles.create, name=name, description=description)


@roles_group.command("list")
@in_app
async def list_roles() -> None:
    """List the roles."""
    for role in await db.read(roles.list_all):
        click.echo(f"{role}: {role.description}" if role.description else str(role))


@click.command()
@in_app
async def check() -> None:
    """Say whether the site could be served: the settings are read, the database answers, its schema is at head."""
    unknown = (
        {key for key in os.environ if key.startswith("QUART_")} - {f"QUART_{key}" for key in DEFAULTS} - QUARTS_OWN
    )
    if unknown:
        raise NotReady(f"no such setting: {', '.join(sorted(unknown))}")
    await check_ready()
    click.echo(f"ready: {database_url(current_app.config).render_as_string(hide_password=True)}")


QUARTS_OWN = {"QUART_APP", "QUART_DEBUG", "QUART_ENV_FILE", "QUART_SKIP_DOTENV"}


def init_app(app: Quart) -> None:
    for command in (users, roles_group, check):
        app.cli.add_command(command)
