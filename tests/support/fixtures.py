"""The fixtures of all tests: a real app on a database that Alembic built, and a log to look at."""

import logging
import shutil
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol

from app.lib import uniform_time
from app.lib.logs import TextLine
from app.lib.passwords import executor, hasher
from app.lib.web.templates import SyncEnvironment
from support.app import CHEAP, SECRET_KEY, UNLIMITED, migrate, serving
from support.load import instance_in
from support.mariadb_server import MariaDB


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    migrate("sqlite:///app.db", instance=folder).check_returncode()
    return folder / "app.db"


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """Start a private server that ends with the tests and leaves no files."""
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


@pytest.fixture
def database_uri(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return the URL of an empty database at head: SQLite, unless a test says @both_databases or @on_mariadb."""
    if getattr(request, "param", "sqlite") == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "app.db")
        yield f"sqlite:///{tmp_path}/app.db"
    else:
        yield request.getfixturevalue("mariadb_at_head")
        request.getfixturevalue("mariadb").empty("head")


@pytest.fixture
def instance(sqlite_template: Path, tmp_path: Path) -> Path:
    """Return an instance folder with an empty database at head."""
    return instance_in(tmp_path / "instance", sqlite_template)


@pytest.fixture
def settings(database_uri: str, tmp_path: Path) -> dict[str, Any]:
    """Return settings with rate limits that no test reaches and a long DATABASE_TIMEOUT. Both have their own tests.

    On a busy machine, a transaction may take longer than the default timeout.
    """
    needed = {"SQLALCHEMY_DATABASE_URI": database_uri, "SECRET_KEY": SECRET_KEY, "INSTANCE_PATH": str(tmp_path)}
    return needed | UNLIMITED | {"DATABASE_TIMEOUT": "30"}


@pytest.fixture(autouse=True, scope="session")
def compiled_once() -> Iterator[None]:
    """Compile a template once for all apps of the tests, each of which would compile it again."""
    compile_it, known = SyncEnvironment.compile, dict[tuple[Any, ...], Any]()

    def remembered(environment: SyncEnvironment, source: Any, *arguments: Any, **named: Any) -> Any:
        which = (source, arguments, *named.items())
        if which not in known:
            known[which] = compile_it(environment, source, *arguments, **named)
        return known[which]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SyncEnvironment, "compile", remembered)
        yield


@pytest.fixture(autouse=True)
def cheap_hashes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash in little memory, except in tests that check the time or the hash."""
    if not any(map(request.node.get_closest_marker, ("slow", "real_hashes"))):
        monkeypatch.setattr(hasher, "CURRENT", CHEAP)


@pytest.fixture(autouse=True)
def long_hashing_timeouts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Raise the timeouts of the queue for hashing: its threads, of low priority, start late on a busy machine."""
    if not request.node.get_closest_marker("slow"):
        monkeypatch.setattr(executor, "LONGEST_WAIT_SECONDS", 60)
        monkeypatch.setattr(executor, "LONGEST_EXPECTED_WAIT_SECONDS", 60)


@pytest.fixture(autouse=True)
def immediate_refusals(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse wrong passwords at once, except in tests that check the time."""
    if not request.node.get_closest_marker("slow"):
        monkeypatch.setattr(hasher, "SHORTEST_REFUSAL_SECONDS", 0)
        monkeypatch.setattr(uniform_time, "RESPONSE_TIME_STEP_SECONDS", 0.001)


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Return what is logged, in the lines that an operator reads."""
    caplog.handler.setFormatter(TextLine())
    caplog.set_level(logging.INFO)
    return caplog


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the log to the report of a failed test. The section of pytest omits the facts of an event."""
    report = yield
    log = getattr(item, "funcargs", {}).get("log")
    if report.failed and report.when != "teardown" and log:  # the log is empty at teardown
        report.sections.append(("Log with facts", log.text))
    return report


@pytest.fixture
async def app(settings: dict[str, Any]) -> AsyncIterator[Quart]:
    async with serving(settings) as app:
        yield app


@pytest.fixture
def client(app: Quart) -> TestClientProtocol:
    return app.test_client()
