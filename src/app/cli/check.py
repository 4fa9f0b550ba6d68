"""`quart --app run check`: could this be served?"""

import os

import click
from quart import current_app

from app.cli.running import in_app
from app.config import DEFAULTS
from app.database_url import database_url
from app.preflight import NotReady

QUARTS_OWN = {"QUART_APP", "QUART_DEBUG", "QUART_ENV_FILE", "QUART_SKIP_DOTENV"}


@click.command()
@in_app
async def check() -> None:
    """Say whether the site could be served: the settings are read, the database answers, its schema is at head."""
    unknown = (
        {key for key in os.environ if key.startswith("QUART_")} - {f"QUART_{key}" for key in DEFAULTS} - QUARTS_OWN
    )
    if unknown:
        raise NotReady(f"no such setting: {', '.join(sorted(unknown))}")
    click.echo(f"ready: {database_url(current_app.config).render_as_string(hide_password=True)}")
