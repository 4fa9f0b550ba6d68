"""`quart --app run check`: check that the site is ready to be public."""

import sys

import click
from quart import current_app

from app.cli import deployment_checks
from app.cli.command import with_app
from app.lib.db.url import database_url, without_secrets


@click.command()
@with_app
async def check() -> None:
    """Check the settings, the database and the machine for a public site."""
    findings = await deployment_checks.run_checks(current_app)
    for reason in findings.skipped:
        click.echo(f"Not checked: {reason}", err=True)
    for problem in findings.problems:
        click.echo(f"Error: {problem}", err=True)
    if findings.problems:
        sys.exit(1)
    ready = "ready, as far as it could be checked" if findings.skipped else "ready"
    click.echo(f"{ready}: {without_secrets(database_url(current_app.config))}")
