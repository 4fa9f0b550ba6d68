"""`quart --app run users …`: the people with an account."""

from typing import Any

import click
from quart import current_app

from app import events
from app.cli.running import asks_for_password, in_app
from app.cli.support import facts_of
from app.models import User, clock, db
from app.services import accounts, credentials, roles, sessions
from app.services.activity import COMMAND_LINE
from app.services.password_policy import check_password
from app.services.passwords import hash_password
from app.words import device_in_words


@click.group()
def users() -> None:
    """Manage the people with an account."""


@users.command("create")
@click.argument("email")
@click.option("--name")
@asks_for_password
@in_app
async def create_user(email: str, name: str | None, password: str) -> None:
    """Open an account; the password is asked for, or read from standard input."""
    hashed, now = await hash_password(checked(password, email)), clock.now()
    user = await db.write(
        accounts.register, email=email, password_hash=hashed, name=name, confirmed_on=now, origin=COMMAND_LINE
    )
    told("signed_up", user)
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
    """Show what is known of one account: what support needs, and no secret."""
    for name, fact in (await db.read(facts_of, email)).items():
        click.echo(f"{name + ':':8} {'' if fact is None else fact}".rstrip())


@users.command("confirm")
@click.argument("email")
@in_app
async def confirm_user(email: str) -> None:
    """Take an address for confirmed."""
    told("confirmed", await db.write(accounts.confirm, email=email))


@users.command("activate")
@click.argument("email")
@in_app
async def activate_user(email: str) -> None:
    """Open a closed account again."""
    told("activated", await db.write(accounts.activate, email=email))


@users.command("deactivate")
@click.argument("email")
@in_app
async def deactivate_user(email: str) -> None:
    """Close an account and log it out everywhere."""
    told("deactivated", await db.write(accounts.deactivate, email=email))


@users.command("delete")
@click.argument("email")
@click.confirmation_option(prompt="Delete the account with everything in it?")
@in_app
async def delete_user(email: str) -> None:
    """Delete an account with everything in it."""
    told("account_deleted", await db.write(accounts.delete_by_email, email=email))


@users.command("set-password")
@click.argument("email")
@asks_for_password
@in_app
async def set_password(email: str, password: str) -> None:
    """Give an account another password and log it out everywhere."""
    hashed = await hash_password(checked(password, email))
    told("password_changed", await db.write(credentials.set_password, email=email, password_hash=hashed))


@users.command("sessions")
@click.argument("email")
@click.option("--end", is_flag=True, help="Log the account out everywhere.")
@in_app
async def show_sessions(email: str, *, end: bool) -> None:
    """List the browsers that are logged in to an account, or log them out."""
    if end:
        told("sessions_ended", await db.write(credentials.end_sessions, email=email))
        return
    user = await db.read(accounts.get_by_email, email=email)
    for row in await db.read(sessions.list_of, user_id=user.id):
        seen = f"{row.last_seen_on:%Y-%m-%d %H:%M} UTC"
        click.echo(f"{row.id} {device_in_words(row.user_agent)}, last seen {seen}{f' from {row.ip}' if row.ip else ''}")


@users.command("add-role")
@click.argument("email")
@click.argument("role")
@in_app
async def add_role(email: str, role: str) -> None:
    """Give an account a role."""
    told("role_added", await db.write(roles.add_to_user, email=email, role_name=role), role=role)


@users.command("remove-role")
@click.argument("email")
@click.argument("role")
@in_app
async def remove_role(email: str, role: str) -> None:
    """Take a role from an account."""
    told("role_removed", await db.write(roles.remove_from_user, email=email, role_name=role), role=role)


def told(event: str, user: User, **role: str) -> None:
    facts: dict[str, Any] = {"user": user.id, "by": "command line", **role}
    events.record(event, **facts)


def checked(password: str, email: str) -> str:
    check_password(password, email=email, length_min=current_app.config["SECURITY_PASSWORD_LENGTH_MIN"])
    return password
