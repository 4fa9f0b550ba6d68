"""`quart --app run check`: could this be served in public?"""

import sys

import click
from quart import current_app

from app import deployment
from app.cli.running import in_app
from app.database_url import database_url


@click.command()
@in_app
async def check() -> None:
    """Say what is wrong with the settings, the database and the machine for a site in public."""
    findings = await deployment.examine(current_app)
    for what in findings.unseen:
        click.echo(f"Not looked at: {what}", err=True)
    for what in findings.wrong:
        click.echo(f"Error: {what}", err=True)
    if findings.wrong:
        sys.exit(1)
    ready = "ready, as far as could be looked at" if findings.unseen else "ready"
    click.echo(f"{ready}: {database_url(current_app.config).render_as_string(hide_password=True)}")
