"""What the tests run on: a real app on a database that Alembic built, once on SQLite and once on MariaDB."""

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol

from app.app_factory import create_app
from app.config import DEFAULTS
from app.events import TextLine
from app.services import evening, passwords
from app.templating import SyncEnvironment
from mariadb_server import MariaDB

ROOT = Path(__file__).parents[1]
MANY = "1000000 per minute"
UNTHROTTLED = {key: MANY for key in DEFAULTS if key.startswith("THROTTLE_")}
SECRET_KEY = "the-key-of-the-tests-is-long-enough-to-be-a-key"

pytest_plugins = ["evidence", "browsers", "journeys", "served_sites", "skips", "visitor"]


def migrate(uri: str, *arguments: str, instance: Path, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run Alembic as a developer does, on the database at the address."""
    settings = {"QUART_SQLALCHEMY_DATABASE_URI": uri, "QUART_INSTANCE_PATH": str(instance)}
    command = [sys.executable, "-m", "alembic", *(arguments or ("upgrade", "head"))]
    return subprocess.run(
        command, cwd=root, env={**os.environ, **settings}, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    migrate("sqlite:///app.db", instance=folder).check_returncode()
    return folder / "app.db"


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """Start a private server: it ends with the tests and leaves nothing behind."""
    server = MariaDB.find()
    if server is None:
        pytest.skip("no mariadbd on this machine: apt-get install mariadb-server")
    with server.running(tmp_path_factory.mktemp("mariadb")):
        yield server


@pytest.fixture(scope="session")
def mariadb_at_head(mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> str:
    uri = mariadb.create_database("head")
    migrate(uri, instance=tmp_path_factory.mktemp("instance")).check_returncode()
    return uri


@pytest.fixture(params=["sqlite", "mariadb"])
def database_uri(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database at head."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "app.db")
        yield f"sqlite:///{tmp_path}/app.db"
    else:
        yield request.getfixturevalue("mariadb_at_head")
        request.getfixturevalue("mariadb").empty("head")


@pytest.fixture
def settings(database_uri: str, tmp_path: Path) -> dict[str, Any]:
    """Settings under which people may do much: what throttling does has tests of its own."""
    needed = {"SQLALCHEMY_DATABASE_URI": database_uri, "SECRET_KEY": SECRET_KEY, "INSTANCE_PATH": str(tmp_path)}
    return needed | UNTHROTTLED


@pytest.fixture(autouse=True, scope="session")
def compiled_once() -> Iterator[None]:
    """Compile a template once for all sites of the tests, each of which would do it anew."""
    compile_it, known = SyncEnvironment.compile, dict[tuple[Any, ...], Any]()

    def remembered(environment: SyncEnvironment, source: Any, *arguments: Any, **named: Any) -> Any:
        which = (source, arguments, *named.items())
        if which not in known:
            known[which] = compile_it(environment, source, *arguments, **named)
        return known[which]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SyncEnvironment, "compile", remembered)
        yield


CHEAP = passwords.CURRENT.using(argon2__memory_cost=8)


@pytest.fixture(autouse=True)
def cheap_hashes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash in little memory, except in tests that check the time or the hash."""
    if not any(map(request.node.get_closest_marker, ("slow", "real_hashes"))):
        monkeypatch.setattr(passwords, "CURRENT", CHEAP)


@pytest.fixture(autouse=True)
def immediate_refusals(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse wrong passwords at once, except in tests that check the time."""
    if not request.node.get_closest_marker("slow"):
        monkeypatch.setattr(passwords, "SHORTEST_REFUSAL_SECONDS", 0)
        monkeypatch.setattr(evening, "STEP", 0.001)


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Return what is logged, in the lines that a person sees."""
    caplog.handler.setFormatter(TextLine())
    caplog.set_level(logging.INFO)
    return caplog


@asynccontextmanager
async def serving(
    settings: dict[str, Any], add_routes: Callable[[Quart], None] = lambda _app: None
) -> AsyncIterator[Quart]:
    """Start an app as a server does, and stop it. Quart accepts routes only before it starts."""
    app = create_app(settings)
    add_routes(app)
    async with app.test_app():
        yield app


@pytest.fixture
async def app(settings: dict[str, Any]) -> AsyncIterator[Quart]:
    async with serving(settings) as app:
        yield app


@pytest.fixture
def client(app: Quart) -> TestClientProtocol:
    return app.test_client()
