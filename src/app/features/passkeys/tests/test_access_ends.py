"""The passkeys that a password reset, the report of an attacker and a deletion remove."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol

from app.features.passkeys.models import Passkey, PasskeyHandle
from app.features.passkeys.tests.authenticator import Authenticator, add, added, code_of, names, use
from app.services import credentials, users
from support.actions import EMAIL, PASSWORD, change_password, count, write
from support.app import both_databases
from support.commands import CommandLine
from support.email_links import press
from support.frozen_clock import FrozenClock
from support.mail_helpers import link, mails


async def change(app: Quart, ada: TestClientProtocol) -> None:
    await change_password(ada)


async def reset(app: Quart, ada: TestClientProtocol) -> None:
    client = app.test_client()
    await client.post("/reset", form={"email": EMAIL})
    assert (await press(client, await link(app, "reset"))).status_code == 303


async def set_password(app: Quart, ada: TestClientProtocol) -> None:
    async with app.app_context():
        await credentials.set_password(EMAIL, PASSWORD)


async def end_sessions(app: Quart, ada: TestClientProtocol) -> None:
    await write(app, credentials.end_sessions, email=EMAIL)


async def report_the_new_passkey(app: Quart, ada: TestClientProtocol) -> None:
    assert (await app.test_client().post(await link(app, "passkey_added"))).status_code == 303


async def report_the_login(app: Quart, ada: TestClientProtocol) -> None:
    assert (await app.test_client().post(await link(app, "new_login"))).status_code == 303


async def restore_the_email_address(app: Quart, ada: TestClientProtocol) -> None:
    await ada.post("/change-email", form={"email": "eve@example.com"})
    await ada.post(await link(app, "change_email"))
    await add(ada, Authenticator(), name="By Eve")
    assert (await press(app.test_client(), await link(app, "email_changed", to=EMAIL))).status_code == 303


CASES: list[tuple[Callable[[Quart, TestClientProtocol], Awaitable[None]], bool, list[str]]] = [
    (change, True, ["Old", "New"]),
    (change, False, ["Old", "New"]),
    (end_sessions, False, ["Old", "New"]),
    (reset, True, ["Old", "New"]),
    (reset, False, []),
    (set_password, True, ["Old", "New"]),
    (set_password, False, []),
    (report_the_new_passkey, True, ["Old"]),
    (report_the_login, True, []),
    (restore_the_email_address, True, []),
]


@both_databases
@pytest.mark.parametrize(("end", "is_confirmed", "left"), CASES)
async def test_an_end_of_access_removes_the_passkeys_of_an_attacker(
    app: Quart, ada: TestClientProtocol, frozen_clock: FrozenClock, *, end: Any, is_confirmed: bool, left: list[str]
) -> None:
    if is_confirmed:
        await write(app, users.confirm, email=EMAIL)
    device = Authenticator()
    await add(ada, device, name="Old")
    frozen_clock.forward(timedelta(minutes=3))
    await add(ada, Authenticator(), name="New")
    frozen_clock.forward(timedelta(minutes=3))

    await end(app, ada)

    assert await names(app) == left
    assert (await use(app.test_client(), device)).status_code == (200 if left else 422)


@both_databases
async def test_the_deletion_of_the_account_deletes_its_passkeys(app: Quart, ada: TestClientProtocol) -> None:
    laptop = await added(ada)

    assert (await ada.post("/account/delete", form={"password": PASSWORD})).status_code == 303
    assert await count(app, Passkey) == await count(app, PasskeyHandle) == 0
    assert await code_of(await use(app.test_client(), laptop)) == "unknown_passkey"


@both_databases
async def test_an_operator_removes_the_passkeys_of_a_user(
    app: Quart, ada: TestClientProtocol, command_line: CommandLine
) -> None:
    laptop = await added(ada)

    assert command_line.succeed("users", "remove-passkeys", EMAIL) == "Passkeys removed: 1\n"

    assert await code_of(await use(app.test_client(), laptop)) == "unknown_passkey"
    assert len(await mails(app, "passkey_removed")) == 1
    assert command_line.succeed("users", "remove-passkeys", EMAIL) == "Passkeys removed: 0\n"
    assert "no account" in command_line.refusal("users", "remove-passkeys", "unknown@example.com")
