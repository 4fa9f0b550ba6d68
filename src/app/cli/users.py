"""`quart --app run users …`: the people with an account."""

import click
from quart import current_app

from app.cli.running import asks_for_password, in_app
from app.models import db
from app.services import accounts, roles
from app.services.password_policy import check_password
from app.services.passwords import hash_password


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
    hashed = await hash_password(checked(password, email))
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
@asks_for_password
@in_app
async def set_password(email: str, password: str) -> None:
    """Give an account another password and log it out everywhere."""
    hashed = await hash_password(checked(password, email))
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


def checked(password: str, email: str) -> str:
    check_password(password, email=email, length_min=current_app.config["SECURITY_PASSWORD_LENGTH_MIN"])
    return password
