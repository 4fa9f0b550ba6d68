"""`quart --app run sweep`: delete what has expired. The server does so by itself, now and then."""

import click

from app import sweeper
from app.cli.running import in_app


@click.command()
@in_app
async def sweep() -> None:
    """Delete what has expired: log-ins, links, mails that were sent, counters, old activity."""
    click.echo(f"{await sweeper.sweep_all()} rows deleted")
