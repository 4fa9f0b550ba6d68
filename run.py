"""The server: `python run.py`, and `app` for `hypercorn run:app` or any other ASGI server."""

import argparse
import asyncio
import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from hypercorn.run import run as serve_and_reload

SOURCE = Path(__file__).resolve().parent / "src"
sys.path.insert(0, str(SOURCE))  # before the folder of an editable install, which may be the one this was copied from

import app as package
from app.app_factory import create_app
from app.lib import logs
from app.lib.db import db, schema
from app.lib.db.startup_checks import PendingMigrations, StartupError, check_database_ready
from app.lib.db.url import database_url
from app.lib.server import hypercorn_patches
from app.lib.server.serve import hypercorn_config, is_inherited, listen, serve_app
from app.lib.settings.loader import ConfigError
from app.mail.dev_mailbox import mailbox_path
from app.models import Base
from app.services.authentication import prepare_hasher

if SOURCE not in Path(package.__file__).parents:  # a command has imported it already
    sys.exit(f"Cannot start: the package app of another folder is installed. Run `make` in {SOURCE.parent}.")


def parse_options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Serve the site.")
    parser.add_argument("--bind", help="bind address and port (default: the setting BIND)")
    parser.add_argument("--workers", type=int, help="processes (default: the setting WORKERS)")
    parser.add_argument("--reload", action="store_true", help="restart when Python files change; reload templates")
    parser.add_argument("--upgrade", action="store_true", help="migrate an SQLite database first")
    options = parser.parse_args(arguments)
    if options.workers is not None and options.workers < 1:
        parser.error("--workers must be at least 1")
    return options


def override_settings(options: argparse.Namespace) -> None:
    """Set the options in the environment, also for the process that --reload starts. BASE_URL follows from BIND."""
    for name in ("BIND", "WORKERS"):
        value = getattr(options, name.lower())
        if value is not None:
            os.environ[f"QUART_{name}"] = str(value)
            os.environ.pop(f"QUART_{name}_FILE", None)  # the two exclude each other


options = parse_options(sys.argv[1:] if __name__ == "__main__" else [])
override_settings(options)
try:
    app = create_app()
except ConfigError as error:
    sys.exit(f"Cannot start: {error}")
hypercorn_patches.apply()  # also under Hypercorn's own command
app.before_serving(lambda: logs.set_up(app.config["LOG_FORMAT"]))  # also under another server
gc.freeze()  # full collections skip the imported modules: shorter pauses, and workers go on sharing that memory


def main() -> int:
    """Serve the app until a signal stops it, and return the exit code."""
    bind = app.config["BIND"]
    logs.set_up(app.config["LOG_FORMAT"])
    try:
        is_new = prepare_database(upgrade=options.upgrade)
        if options.reload:
            os.environ["QUART_TEMPLATES_AUTO_RELOAD"] = "1"  # of the process that serves
            config = hypercorn_config(bind)
            config.application_path, config.use_reloader = "run:app", True
            return serve_and_reload(config)
        listeners = listen(bind, workers=app.config["WORKERS"])
        if app.config["LOG_FORMAT"] == "console":
            announce(bind, is_new=is_new)
        return serve_app(app, listeners, inherited=is_inherited(bind))
    except (StartupError, schema.UpgradeFailed, ValueError) as error:
        sys.exit(f"Cannot start: {error}")
    except OSError as error:
        sys.exit(f"Cannot listen on {bind}: {error.strerror}")


def prepare_database(*, upgrade: bool) -> bool:
    """Raise StartupError unless the database can be used. `upgrade` migrates an SQLite database first.

    Returns whether it was migrated.
    """
    try:
        asyncio.run(check_database())
    except PendingMigrations:
        if not upgrade or database_url(app.config).get_backend_name() != "sqlite":
            raise
        schema.upgrade()
        asyncio.run(check_database())
        return True
    return False


def announce(bind: str, *, is_new: bool) -> None:
    """Tell a developer what was done, and where to open the site."""
    database, base_url = database_url(app.config), app.config["BASE_URL"]
    name = os.path.relpath(database.database or "") if database.get_backend_name() == "sqlite" else database.database
    url = base_url if base_url.endswith(bind.rpartition(":")[2]) else f"http://{bind}"
    sys.stdout.write(f"The database {name} {'was created or migrated' if is_new else 'is ready'}.\n")
    sys.stdout.write(f"Open {url} in your browser.\n")
    if app.config["MAIL_DEV_MAILBOX"]:
        sys.stdout.write(f"E-mails are shown at {url}{asyncio.run(path_of_mailbox())}\n")
    sys.stdout.write("Press Ctrl-C to stop.\n")
    sys.stdout.flush()


async def path_of_mailbox() -> str:
    async with app.app_context():
        return mailbox_path()


async def check_database() -> None:
    async with app.app_context():
        try:
            await check_database_ready(Base.metadata)
            await prepare_hasher()  # before the workers start, which would slow each other down
        finally:
            await db.dispose()


if __name__ == "__main__":
    sys.exit(main())
