"""Commands: reset the second factor of a user, and encrypt every secret with the current SECRET_KEY."""

import click
from sqlalchemy.ext.asyncio import AsyncSession

from app.cli.command import with_app
from app.features.second_factor import enrolment, factors
from app.lib.db import db


@click.command("reset-second-factor")
@click.argument("email")
@with_app
async def reset_second_factor(email: str) -> None:
    """Remove the second factor of a user who has lost it."""
    await db.write(enrolment.reset, email=email)


@click.command()
@with_app
async def rekey() -> None:
    """Encrypt every secret with the current SECRET_KEY. Run this before you remove a key from SECRET_KEY_FALLBACKS."""
    encrypted, unreadable = await db.write(_encrypt_all_again)
    click.echo(f"Secrets encrypted again: {encrypted}")
    if unreadable:
        raise click.ClickException(f"secrets encrypted with a key that the site does not have: {unreadable}")


async def _encrypt_all_again(session: AsyncSession) -> tuple[int, int]:
    """Return how many secrets were encrypted again, and how many could not be read."""
    rows = await factors.list_all(session)
    encrypted = [factors.encrypt_again(row) for row in rows]
    return sum(encrypted), sum(factors.decrypt(row) is None for row in rows)
