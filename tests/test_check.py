"""`quart --app run check`: what it says of settings, files, database and clock of a site in public."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from quart import Quart
from sqlalchemy import update

from app import deployment
from app.app_factory import create_app
from app.deployment import Findings
from app.models import UserSession, clock
from conftest import serving
from mariadb_server import MariaDB
from people import EMAIL, PASSWORD, create_user, execute
from test_cli import Commands, commands, environment  # noqa: F401 # fixtures

SENDING = {"MAIL_SERVER": "mail.example.invalid", "MAIL_DEFAULT_SENDER": "site@example.com"}
PUBLIC = {"BASE_URL": "https://www.example.invalid", "TRUSTED_PROXIES": "1", **SENDING}
on_sqlite = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)


@pytest.fixture
def settings(settings: dict[str, Any], request: pytest.FixtureRequest) -> dict[str, Any]:
    return settings | PUBLIC


async def examine(app: Quart) -> Findings:
    async with app.app_context():
        return await deployment.examine(app)


async def wrong_with(settings: dict[str, Any]) -> list[str]:
    async with serving(settings) as app:
        return (await examine(app)).wrong


@on_sqlite
def test_a_site_that_may_go_public_is_ready(commands: Commands, settings: dict[str, Any]) -> None:  # noqa: F811
    done = commands.run("check")

    assert (done.returncode, done.stdout.split(":")[0]) == (0, "ready, as far as could be looked at")
    assert "Not looked at: what stands in front of https://www.example.invalid" in done.stderr


@on_sqlite
def test_each_thing_that_is_wrong_is_a_line_and_the_exit_code_is_1(commands: Commands) -> None:  # noqa: F811
    done = commands.run("check", SECURITY_REGISTRABLE="0", WORKER="2", BASE_URL="http://www.example.invalid")

    assert (done.returncode, done.stdout) == (1, "")
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 3
    assert errors[:2] == [f"Error: no such setting: QUART_{name}" for name in ("SECURITY_REGISTRABLE", "WORKER")]


@on_sqlite
@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"BASE_URL": "http://localhost:1"}, "set it to the address that people type"),
        ({"BASE_URL": "http://www.example.invalid"}, "without https everybody on the way reads passwords"),
        ({"TRUSTED_PROXIES": 0}, "all visitors would be throttled as one"),
        ({"MAIL_SERVER": ""}, "nobody gets a forgotten password back"),
        ({"MAIL_USERNAME": "site", "MAIL_PASSWORD": "secret"}, "MAIL_PASSWORD would travel in the clear"),
        ({"SECURITY_PASSWORD_LENGTH_MIN": 6}, "SECURITY_PASSWORD_LENGTH_MIN is under 8"),
        ({"SESION_IDLE": 60}, "no such setting: SESION_IDLE; SESSION_IDLE was meant?"),
    ],
)
async def test_a_setting_that_is_not_for_public_is_named(
    settings: dict[str, Any], more: dict[str, Any], said: str
) -> None:
    (line,) = await wrong_with(settings | more)

    assert said in line


@on_sqlite
@pytest.mark.parametrize("name", ["application.cfg.py", "secret_key", "app.db"])
async def test_a_private_file_that_everybody_can_read_is_named(
    settings: dict[str, Any], tmp_path: Path, name: str
) -> None:
    (tmp_path / "app.db").chmod(0o600)
    (tmp_path / name).touch()
    (tmp_path / name).chmod(0o644)

    assert await wrong_with(settings) == [
        f"instance/{name} can be read by everybody on this machine: chmod o= {tmp_path / name}"
    ]


async def test_a_clock_that_is_behind_is_seen_by_the_rows(settings: dict[str, Any], tmp_path: Path) -> None:
    async with serving(settings) as app:
        await create_user(app)
        form = {"email": EMAIL, "password": PASSWORD}
        await app.test_client().post("/login", form=form, headers={"Host": "www.example.invalid"})
        await execute(app, update(UserSession).values(last_seen_on=clock.now() + timedelta(hours=1)))

        assert any("somebody was last seen in the future" in line for line in (await examine(app)).wrong)


async def test_the_charset_of_the_database_is_looked_at(
    mariadb: MariaDB, mariadb_at_head: str, settings: dict[str, Any]
) -> None:
    settings["SQLALCHEMY_DATABASE_URI"] = mariadb_at_head
    (line,) = await wrong_with(settings)
    assert "the database's own charset is latin1" in line

    mariadb.execute("ALTER DATABASE head CHARACTER SET utf8mb4")
    try:
        assert await wrong_with(settings) == []
    finally:
        mariadb.execute("ALTER DATABASE head CHARACTER SET latin1")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"init_command": "SET SESSION sql_mode=''"}, "sql_mode is ''"),
        ({"init_command": "SET SESSION time_zone='+00:00', timestamp=1000000000"}, "the database server's clock says"),
        ({"charset": "latin1"}, "the connection speaks latin1"),
    ],
)
async def test_a_connection_that_is_set_up_badly_is_seen(
    mariadb_at_head: str, settings: dict[str, Any], arguments: dict[str, str], said: str
) -> None:
    settings |= {"SQLALCHEMY_DATABASE_URI": mariadb_at_head, "SQLALCHEMY_ENGINE_OPTIONS": {"connect_args": arguments}}

    assert any(said in line for line in await wrong_with(settings))


def test_debug_does_not_start_in_public(settings: dict[str, Any]) -> None:
    with pytest.raises(Exception, match="DEBUG shows tracebacks to visitors"):
        create_app(settings | {"DEBUG": True})
