"""`quart --app run check`: what it finds wrong with a public site."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from quart import Quart
from sqlalchemy import update

from app.app_factory import create_app
from app.cli import deployment_checks
from app.cli.deployment_checks import Findings
from app.lib import clock
from app.lib.db import db
from app.lib.settings.loader import ConfigError
from app.models import UserSession
from support.actions import EMAIL, PASSWORD, create_user, execute
from support.app import on_mariadb, serving
from support.commands import CommandLine
from support.mariadb_server import MariaDB

SENDING = {"MAIL_SERVER": "mail.example.invalid", "MAIL_DEFAULT_SENDER": "site@example.com"}
PUBLIC = {"BASE_URL": "https://www.example.invalid", "TRUSTED_PROXIES": "1", **SENDING}


@pytest.fixture
def settings(settings: dict[str, Any]) -> dict[str, Any]:
    return settings | PUBLIC


async def examine(app: Quart) -> Findings:
    async with app.app_context():
        return await deployment_checks.run_checks(app)


async def wrong_with(settings: dict[str, Any]) -> list[str]:
    app = create_app(settings)
    try:
        return (await examine(app)).problems
    finally:
        async with app.app_context():
            await db.dispose()


def test_a_site_that_may_go_public_is_ready(command_line: CommandLine) -> None:
    done = command_line.run("check")

    assert (done.exit_code, done.stdout.split(":")[0]) == (0, "ready, as far as it could be checked")
    assert "Not checked: the proxies, because https://www.example.invalid does not respond" in done.stderr


def test_each_error_is_a_line_and_the_exit_code_is_1(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUART_SECURITY_REGISTRABLE", "0")

    done = command_line.run("check", BASE_URL="http://www.example.invalid")

    assert (done.exit_code, done.stdout) == (1, "")
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert errors[0] == "Error: no such setting: QUART_SECURITY_REGISTRABLE; did you mean QUART_SECURITY_REGISTERABLE?"
    assert "without https the network can read passwords" in errors[1]
    assert len(errors) == 2


async def test_a_setting_that_is_not_for_a_public_site_is_named(settings: dict[str, Any]) -> None:
    local = {"BASE_URL": "http://localhost:1", "MAIL_USERNAME": "site", "MAIL_PASSWORD": "secret"}
    wrong: list[tuple[dict[str, Any], list[str]]] = [
        (local, ["set it to the public URL", "MAIL_PASSWORD would be sent unencrypted"]),
        (
            {"TRUSTED_PROXIES": 0, "MAIL_SERVER": "", "SECURITY_PASSWORD_LENGTH_MIN": 6},
            [
                "would count all clients as one",
                "users cannot reset passwords",
                "SECURITY_PASSWORD_LENGTH_MIN is below 8",
            ],
        ),
    ]
    for more, reasons in wrong:
        lines = await wrong_with(settings | more)
        assert [reason in line for reason, line in zip(reasons, lines, strict=True)] == [True] * len(reasons)


def let_others_write(folder: Path) -> None:
    folder.chmod(0o777)


async def test_private_files_that_other_users_can_read_or_change_are_named(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "app.db").chmod(0o600)
    for name, mode in (("application.cfg.py", 0o602), ("secret_key", 0o604), ("app.db", 0o644)):
        path = tmp_path / name
        path.touch()
        path.chmod(mode)
        line = f"{path} can be read or changed by every user of this machine: chmod o= {path}"
        assert await wrong_with(settings) == [line]
        path.chmod(0o600)
    let_others_write(tmp_path)
    (line,) = await wrong_with(settings)
    assert line.startswith("every user of this machine can replace files in")


async def test_a_clock_that_is_behind_is_seen_by_the_rows(settings: dict[str, Any]) -> None:
    async with serving(settings) as app:
        await create_user(app)
        form = {"email": EMAIL, "password": PASSWORD}
        await app.test_client().post("/login", form=form, headers={"Host": "www.example.invalid"})
        await execute(app, update(UserSession).values(last_seen_on=clock.now() + timedelta(hours=1)))

        assert any("a session was last used in the future" in line for line in (await examine(app)).problems)


@on_mariadb
async def test_the_charset_and_the_connection_of_mariadb_are_examined(
    mariadb: MariaDB, settings: dict[str, Any]
) -> None:
    (line,) = await wrong_with(settings)
    assert "the charset of the database is latin1" in line
    for arguments, reason in [
        ({"init_command": "SET SESSION sql_mode=''"}, "sql_mode is ''"),
        ({"init_command": "SET SESSION time_zone='+00:00', timestamp=1000000000"}, "the clock of the database is"),
    ]:
        options = {"SQLALCHEMY_ENGINE_OPTIONS": {"connect_args": arguments}}
        assert any(reason in line for line in await wrong_with(settings | options))

    mariadb.execute("ALTER DATABASE head CHARACTER SET utf8mb4")
    try:
        assert await wrong_with(settings) == []
    finally:
        mariadb.execute("ALTER DATABASE head CHARACTER SET latin1")


def test_debug_does_not_start_in_public(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="DEBUG shows tracebacks to every client"):
        create_app(settings | {"DEBUG": True})
