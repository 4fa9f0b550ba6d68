"""A user with a role of SECOND_FACTOR_REQUIRED_ROLES must enrol a second factor."""

from typing import Any

import pytest
from quart import Quart, websocket
from quart.testing.connections import WebsocketResponseError
from quart.typing import TestClientProtocol

from app.features.second_factor.tests.authenticator import confirm, enrol
from app.services import roles
from support.actions import EMAIL, create_user, enter, write
from support.app import serving
from support.commands import CommandLine

PAGE = "/account/second-factor"


def add_websocket(app: Quart) -> None:
    @app.websocket("/ticks")
    async def ticks() -> None:
        await websocket.send("open")


async def receive(client: TestClientProtocol) -> Any:
    async with client.websocket("/ticks") as connection:
        return await connection.receive()


async def test_a_user_with_a_required_role_can_open_only_the_enrolment(settings: dict[str, Any]) -> None:
    async with serving(settings | {"SECOND_FACTOR_REQUIRED_ROLES": ("admin",)}, add_websocket) as app:
        await create_user(app)
        await confirm(app)
        await write(app, roles.create, name="admin")
        ada = await enter(app)
        assert (await ada.get("/account")).status_code == 200

        await write(app, roles.add_to_user, email=EMAIL, role_name="admin")
        for path in ("/account", "/sessions", "/account/delete"):
            assert (await ada.get(path)).location == PAGE
        with pytest.raises(WebsocketResponseError, match="403"):
            await receive(ada)
        assert (await ada.get("/account", headers={"Accept": "application/json"})).status_code == 403
        assert (await ada.get("/")).status_code == 200
        await enrol(ada)
        assert (await ada.get("/account")).status_code == 200
        assert await receive(ada) == "open"


def test_the_command_check_reports_a_role_that_does_not_exist(command_line: CommandLine) -> None:
    command_line.succeed("roles", "create", "admin")

    done = command_line.run("check", SECOND_FACTOR_REQUIRED_ROLES=("admin", "amdin"))

    assert done.exit_code == 1
    assert "SECOND_FACTOR_REQUIRED_ROLES has 'amdin', and there is no such role" in done.stderr
    assert "'admin'" not in done.stderr
