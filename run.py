"""The server: `python run.py`, and `app` for `hypercorn run:app` or any other ASGI server."""

import argparse
import asyncio
import gc
import sys

from hypercorn.run import run as serve_and_reload

from app import events
from app.app_factory import create_app
from app.config import ConfigError, check_bind
from app.database_url import database_url
from app.models import db
from app.preflight import NotReady, SchemaNotAtHead, check_ready
from app.server import hypercorn_config, serve_app
from app.services import passwords, schema

try:
    app = create_app()
except ConfigError as error:
    sys.exit(f"Cannot start: {error}")
app.before_serving(lambda: events.set_up(app.config["LOG_FORMAT"]))  # also under another server
gc.freeze()  # full collections skip the imported modules: shorter pauses, and workers go on sharing that memory


def main() -> int:
    """Serve the app until a signal stops it, and return the exit code."""
    options = parse_options()
    events.set_up(app.config["LOG_FORMAT"])
    try:
        check_bind(options.bind)
        prepare_database(upgrade=options.upgrade)
        if options.reload:
            config = hypercorn_config(options.bind)
            config.application_path, config.use_reloader = "run:app", True
            return serve_and_reload(config)
        return serve_app(app, bind=options.bind, workers=options.workers)
    except (NotReady, schema.UpgradeFailed, ValueError) as error:
        sys.exit(f"Cannot start: {error}")
    except OSError as error:
        sys.exit(f"Cannot listen on {options.bind}: {error.strerror}")


def prepare_database(*, upgrade: bool) -> None:
    """Raise NotReady unless the database can be used. `upgrade` migrates an SQLite database first."""
    try:
        asyncio.run(check_database())
    except SchemaNotAtHead:
        if not upgrade or database_url(app.config).get_backend_name() != "sqlite":
            raise
        schema.upgrade()
        asyncio.run(check_database())


async def check_database() -> None:
    async with app.app_context():
        try:
            await check_ready()
            await passwords.prepare()  # before the workers start, which would slow each other down
        finally:
            await db.dispose()


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Serve the site.")
    parser.add_argument("--bind", default=app.config["BIND"], help="bind address and port (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=app.config["WORKERS"], help="processes (default: %(default)s)")
    parser.add_argument("--reload", action="store_true", help="restart when a Python file changes, for development")
    parser.add_argument("--upgrade", action="store_true", help="migrate an SQLite database first")
    options = parser.parse_args()
    if options.workers < 1:
        parser.error("--workers must be at least 1")
    return options


if __name__ == "__main__":
    sys.exit(main())
