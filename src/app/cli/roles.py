"""`quart --app run roles …`: what an account may be."""

import click

from app import events
from app.cli.running import in_app
from app.models import db
from app.services import roles


@click.group("roles")
def roles_group() -> None:
    """Manage what an account may be."""


@roles_group.command("create")
@click.argument("name")
@click.option("--description")
@in_app
async def create_role(name: str, description: str | None) -> None:
    """Make a role."""
    role = await db.write(roles.create, name=name, description=description)
    events.record("role_created", role=role.name, by="command line")


@roles_group.command("list")
@in_app
async def list_roles() -> None:
    """List the roles."""
    for role in await db.read(roles.list_all):
        click.echo(f"{role}: {role.description}" if role.description else str(role))


@roles_group.command("show")
@click.argument("name")
@in_app
async def show_role(name: str) -> None:
    """List who has a role."""
    for user in await db.read(roles.list_users, name=name):
        click.echo(f"{user.id} {user}")


@roles_group.command("delete")
@click.argument("name")
@click.confirmation_option(prompt="Delete the role, and take it from everybody who has it?")
@in_app
async def delete_role(name: str) -> None:
    """Delete a role, and take it from everybody who has it."""
    await db.write(roles.delete, name=name)
    events.record("role_deleted", role=name, by="command line")
