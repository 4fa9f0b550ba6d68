"""`quart --app run roles …`: what an account may be."""

import click

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
    await db.write(roles.create, name=name, description=description)


@roles_group.command("list")
@in_app
async def list_roles() -> None:
    """List the roles."""
    for role in await db.read(roles.list_all):
        click.echo(f"{role}: {role.description}" if role.description else str(role))
