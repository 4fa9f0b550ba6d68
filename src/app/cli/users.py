"""`quart --app run users …`: manage accounts."""

import click

from app.cli.command import ExtensibleGroup, password_option, with_app
from app.cli.user_report import report_on
from app.lib.db import db
from app.lib.i18n.formatting import describe_user_agent
from app.lib.settings import current_settings
from app.services import account_deletion, credentials, registration, roles, sessions, users


@click.group("users", cls=ExtensibleGroup)
def users_group() -> None:
    """Manage accounts."""


@users_group.command("create")
@click.argument("email")
@click.option("--name")
@password_option
@with_app
async def create_user(email: str, name: str | None, password: str) -> None:
    """Create an account. The password is prompted for, or read from standard input."""
    user = await registration.create_confirmed(email, password, name=name)
    click.echo(f"{user.id} {user}")


@users_group.command("list")
@with_app
async def list_users() -> None:
    """List the users."""
    for user in await db.read(users.list_all):
        click.echo(f"{user.id} {user}{'' if user.active else ' (deactivated)'}")


@users_group.command("show")
@click.argument("email")
@with_app
async def show_user(email: str) -> None:
    """Show what support needs to know about an account, without secrets."""
    for name, value in (await db.read(report_on, email)).items():
        click.echo(f"{name + ':':9} {'' if value is None else value}".rstrip())


@users_group.command("confirm")
@click.argument("email")
@with_app
async def confirm_user(email: str) -> None:
    """Confirm the e-mail address of an account."""
    await db.write(users.confirm, email=email)


@users_group.command("activate")
@click.argument("email")
@with_app
async def activate_user(email: str) -> None:
    """Activate a deactivated account."""
    await db.write(users.activate, email=email)


@users_group.command("deactivate")
@click.argument("email")
@with_app
async def deactivate_user(email: str) -> None:
    """Deactivate an account, and end its sessions."""
    await db.write(users.deactivate, email=email)


@users_group.command("delete")
@click.argument("email")
@click.confirmation_option(prompt="Delete the account with all its data?")
@with_app
async def delete_user(email: str) -> None:
    """Delete an account with all its data."""
    await db.write(account_deletion.delete_by_email, email=email)


@users_group.command("set-password")
@click.argument("email")
@password_option
@with_app
async def set_password(email: str, password: str) -> None:
    """Set a new password, and end the sessions of the account."""
    await credentials.set_password(email, password)


@users_group.command("sessions")
@click.argument("email")
@click.option("--end", is_flag=True, help="End the sessions.")
@with_app
async def show_sessions(email: str, *, end: bool) -> None:
    """List the sessions of an account, or end them."""
    if end:
        await db.write(credentials.end_sessions, email=email)
        return
    user = await db.read(users.get_by_email, email=email)
    for row in await db.read(sessions.list_of, user_id=user.id):
        seen = f"{row.last_seen_on:%Y-%m-%d %H:%M} UTC"
        source = f" from {row.ip}" if row.ip else ""
        click.echo(f"{row.id} {describe_user_agent(row.user_agent)}, last seen {seen}{source}")


@users_group.command("add-role")
@click.argument("email")
@click.argument("role")
@with_app
async def add_role(email: str, role: str) -> None:
    """Add a role to a user."""
    user = await db.write(roles.add_to_user, email=email, role_name=role)
    if current_settings()["SECURITY_CONFIRMABLE"] and user.confirmed_on is None:
        click.echo("Warning: the e-mail address is not confirmed. It may belong to another user.", err=True)


@users_group.command("remove-role")
@click.argument("email")
@click.argument("role")
@with_app
async def remove_role(email: str, role: str) -> None:
    """Remove a role from a user."""
    await db.write(roles.remove_from_user, email=email, role_name=role)
