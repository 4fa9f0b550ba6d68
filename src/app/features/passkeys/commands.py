"""The command of an operator: remove the passkeys of a user."""

import click

from app.cli.command import with_app
from app.features.passkeys import passkeys
from app.lib.db import db


@click.command("remove-passkeys")
@click.argument("email")
@with_app
async def remove_passkeys(email: str) -> None:
    """Remove every passkey of a user, for example after an attacker has added one."""
    click.echo(f"Passkeys removed: {await db.write(passkeys.remove_all, email=email)}")
