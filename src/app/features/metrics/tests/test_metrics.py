"""The metrics of one process: the outbox, a database that fails, and settings that are wrong."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from quart import Quart
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.app_factory import create_app
from app.features.metrics.folder import VARIABLE, Folder
from app.features.metrics.tests.scraping import scrape
from app.lib import clock
from app.lib.settings.loader import ConfigError
from app.models import Email, User
from app.services import outbox
from app.services.client import COMMAND_LINE
from support.actions import create_user, execute, scalars, write
from support.app import both_databases, serving
from support.commands import CommandLine
from support.mariadb_server import free_port

SENDING = {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": 1, "MAIL_DEFAULT_SENDER": "site@example.com"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "counts"))
    return tmp_path / "counts"


@pytest.fixture
def settings(settings: dict[str, Any]) -> dict[str, Any]:
    return settings | SENDING | {"METRICS_BIND": f"127.0.0.1:{free_port()}"}


@pytest.fixture
async def app(settings: dict[str, Any]) -> AsyncIterator[Quart]:
    async with serving(settings) as app:
        await app.extensions["mail_worker"].stop()
        yield app


async def enqueue(session: AsyncSession, user: User) -> None:
    for _ in range(5):
        await outbox.enqueue(session, "welcome", user, client=COMMAND_LINE)


@both_databases
async def test_the_emails_in_the_outbox_and_the_age_of_the_oldest_are_measured(app: Quart) -> None:
    await write(app, enqueue, await create_user(app))
    hour = timedelta(hours=1)
    states: list[dict[str, Any]] = [
        {"created_on": clock.now() - hour},
        {"tries": 3, "created_on": clock.now() - 3 * hour, "due_on": clock.now() + hour},
        {"due_on": None, "sent_on": clock.now(), "created_on": clock.now() - 9 * hour},
        {"expires_on": clock.now() - hour, "created_on": clock.now() - 9 * hour},
    ]
    ids = await scalars(app, select(Email.id).order_by(Email.id))
    for email_id, state in zip(ids, states, strict=False):  # the last one stays as it is
        await execute(app, update(Email).where(Email.id == email_id).values(**state))

    found = await scrape(app.config["METRICS_BIND"])
    assert [found.sum("site_outbox_emails", tried=tried) for tried in ("no", "yes")] == [2, 1]
    ages = [found.sum("site_outbox_oldest_age_seconds", tried=tried) for tried in ("no", "yes")]
    assert ages == pytest.approx([3600, 10800], abs=30)


@pytest.fixture
def silent() -> Iterator[str]:
    """Return the IP address and port of a server that accepts connections and sends nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


async def test_a_database_that_is_down_or_frozen_does_not_stop_the_other_metrics(
    settings: dict[str, Any], silent: str
) -> None:
    for address in ("127.0.0.1:1", silent):
        uri = f"mysql+aiomysql://nouser@{address}/nowhere"
        needed = {"SQLALCHEMY_DATABASE_URI": uri, "DATABASE_TIMEOUT": 8}
        async with serving(settings | needed) as app, asyncio.timeout(5):
            found = await scrape(app.config["METRICS_BIND"])

        assert found.values["site_database_up", ()] == 0
        assert [name for name, _ in found.values if "outbox" in name] == []


async def test_a_port_in_use_is_logged_once_and_the_site_works(
    settings: dict[str, Any], silent: str, log: pytest.LogCaptureFixture
) -> None:
    async with serving(settings | {"METRICS_BIND": silent}) as app:
        assert (await app.test_client().get("/")).status_code == 200

    (line,) = [line for line in log.text.splitlines() if " metrics_unavailable " in line]
    assert "Address already in use" in line


@pytest.fixture
def no_folder(folder: Path) -> None:
    folder.write_text("a file where the folder should be")


@pytest.mark.usefixtures("no_folder")
async def test_a_folder_that_cannot_be_used_is_logged_and_the_site_works(
    settings: dict[str, Any], log: pytest.LogCaptureFixture
) -> None:
    async with serving(settings) as app:
        assert (await app.test_client().get("/")).status_code == 200
    assert " metrics_unavailable " in log.text


@pytest.mark.parametrize("value", ["9100", "127.0.0.1", "127.0.0.1:99999", "unix:metrics.sock", "127.0.0.1:5000"])
def test_a_bind_address_that_cannot_be_used_stops_the_start(settings: dict[str, Any], value: str) -> None:
    with pytest.raises(ConfigError, match=f"METRICS_BIND is '{value}'"):
        create_app(settings | {"METRICS_BIND": value})


def test_metrics_that_would_count_in_memory_stop_the_start(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE)

    with pytest.raises(ConfigError, match=f"set {VARIABLE} in the environment"):
        create_app(settings)


@pytest.mark.parametrize(
    ("value", "is_public"),
    [
        ("127.0.0.1:9100", False),
        ("[::1]:9100", False),
        ("localhost:9100", False),
        ("10.0.0.5:9100", False),
        ("0.0.0.0:9100", True),
        ("[::]:9100", True),
        ("93.184.216.34:9100", True),
    ],
)
def test_a_bind_address_that_other_networks_may_reach_is_reported(
    settings: dict[str, Any], value: str, *, is_public: bool
) -> None:
    app = create_app(settings | {"METRICS_BIND": value})
    points = app.extensions["extension_points"]
    problems = [problem for check in points.checks for problem in check(app.config)]

    assert bool(problems) == is_public


def test_the_command_check_reports_it(command_line: CommandLine) -> None:
    done = command_line.run("check", METRICS_BIND="0.0.0.0:9100")

    assert done.exit_code == 1
    assert "Error: METRICS_BIND is 0.0.0.0:9100, which other networks may reach" in done.stderr


def test_the_first_worker_deletes_the_files_of_an_earlier_run(folder: Path) -> None:
    folder.mkdir()
    (folder / "counter_1.db").touch()
    first, second = Folder(folder), Folder(folder)

    first.join()
    assert not (folder / "counter_1.db").exists()
    (folder / "counter_2.db").touch()
    second.join()
    assert (folder / "counter_2.db").exists()

    sizes = [path.stat() for path in folder.glob(f"*_{os.getpid()}.db")]
    assert len(sizes) == 3
    assert all(size.st_blocks * 512 >= size.st_size > 0 for size in sizes)  # reserved, so a full disk causes no SIGBUS

    assert (first.become_exporter(), second.become_exporter()) == (True, False)
    first.leave()
    assert second.become_exporter()
    second.leave()


def test_a_folder_of_other_users_is_refused(folder: Path) -> None:
    folder.mkdir()
    (link := folder.with_name("link")).symlink_to(folder)
    with pytest.raises(OSError, match=str(link)):
        Folder(link).join()

    folder.chmod(0o777)  # other users can write to it
    with pytest.raises(PermissionError, match="must belong to the user of the site"):
        Folder(folder).join()
