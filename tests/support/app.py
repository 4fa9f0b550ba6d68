"""An app as a server runs it, on a database that Alembic built."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from itsdangerous import Signer
from quart import Quart
from quart.testing import TestApp

from app import default_config, features
from app.app_factory import create_app
from app.auth import access
from app.cli.begin import STARTER
from app.lib.passwords import schemes
from app.lib.settings.loader import defaults_of
from app.models import Base

ROOT = Path(__file__).parents[2]
# A product has limits, languages and features of its own.
IS_STARTER = f'name = "{STARTER}"' in (ROOT / "pyproject.toml").read_text()
DEFAULTS = defaults_of(default_config) | features.default_settings()
SECRET_KEY = "the-key-of-the-tests-is-long-enough-to-be-a-key"
CORE_TABLES = {
    mapper.local_table.description
    for mapper in Base.registry.mappers
    if mapper.class_.__module__.startswith("app.models.")
}
MAILBOX_KEY = Signer(SECRET_KEY, "dev-mailbox", digest_method=hashlib.sha256).get_signature("/dev/mailbox").decode()
MAILBOX = f"/dev/mailbox?key={MAILBOX_KEY}"  # as the log of the start names it
UNLIMITED = {key: "1000000 per minute" for key in DEFAULTS if key.startswith("RATE_LIMIT_")}
START_TIMEOUT_SECONDS = 60  # on a machine that is busy with other work
CHEAP = schemes.CURRENT.using(argon2__memory_cost=8)

# A database test runs on SQLite, unless the database is the point.
both_databases = pytest.mark.parametrize("database_uri", ["sqlite", "mariadb"], indirect=True)
on_mariadb = pytest.mark.parametrize("database_uri", ["mariadb"], indirect=True)


def migrate(uri: str, *arguments: str, instance: Path, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run Alembic as a developer does, on the database of the URL."""
    settings = {"QUART_SQLALCHEMY_DATABASE_URI": uri, "QUART_INSTANCE_PATH": str(instance)}
    command = [sys.executable, "-m", "alembic", *(arguments or ("upgrade", "head"))]
    return subprocess.run(
        command, cwd=root, env={**os.environ, **settings}, capture_output=True, text=True, check=False
    )


def copy_project(root: Path) -> Path:
    """Copy what runs and migrates the site into a folder."""
    for name in ("src", "alembic"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("run.py", "pyproject.toml", "alembic.ini"):
        shutil.copy(ROOT / name, root)
    return root


def copy_tree(root: Path) -> Path:
    """Copy the source tree into a folder, without its repository and what git ignores.

    The cache of mypy is copied: without it a check of the types takes 30 s and not 3 s.
    """
    caches = (
        ".git",
        ".venv*",
        ".pytest_cache",
        ".ruff_cache",
        "__pycache__",
        ".hypothesis",
        ".coverage*",
        "test-results",
        "*.egg-info",
    )
    private = ("*.db*", "secret_key", "application.cfg.py")
    return shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(*caches, *private))


@asynccontextmanager
async def serving(
    settings: dict[str, Any], add_routes: Callable[[Quart], None] = lambda _app: None
) -> AsyncIterator[Quart]:
    """Start an app as a server does, and stop it. Quart accepts routes only before it starts."""
    app = create_app(settings)
    add_routes(app)
    async with TestApp(app, startup_timeout=START_TIMEOUT_SECONDS, shutdown_timeout=START_TIMEOUT_SECONDS):
        yield app


def open_to(endpoints: set[str]) -> Callable[[Quart, str], bool]:
    """Return a replacement for `access.is_public` that also opens these endpoints."""
    is_public = access.is_public
    return lambda app, endpoint: endpoint in endpoints or is_public(app, endpoint)
