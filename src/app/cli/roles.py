"""`quart --app run roles …`: manage roles."""

import click

from app.cli.command import with_app
from app.lib.db import db
from app.services import roles


@click.group("roles")
def roles_group() -> None:
    """Manage roles."""


@roles_group.command("create")
@click.argument("name")
@click.option("--description")
@with_app
async def create_role(name: str, description: str | None) -> None:
    """Create a role."""
    await db.write(roles.create, name=name, description=description)


@roles_group.command("list")
@with_app
async def list_roles() -> None:
    """List the roles."""
    for role in await db.read(roles.list_all):
        click.echo(f"{role}: {role.description}" if role.description else str(role))


@roles_group.command("show")
@click.argument("name")
@with_app
async def show_role(name: str) -> None:
    """List the users with a role."""
    for user in await db.read(roles.list_users, name=name):
        click.echo(f"{user.id} {user}")


@roles_group.command("delete")
@click.argument("name")
@click.confirmation_option(prompt="Delete the role, and remove it from every user?")
@with_app
async def delete_role(name: str) -> None:
    """Delete a role, and remove it from every user."""
    await db.write(roles.delete, name=name)
