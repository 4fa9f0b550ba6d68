"""`quart --app run purge`: delete expired rows. The server does so regularly."""

import click

from app import background
from app.cli.command import with_app


@click.command()
@with_app
async def purge() -> None:
    """Delete expired rows: sessions, tokens, delivered e-mails, rate limits, old events."""
    click.echo(f"{await background.purge_all()} rows deleted")
