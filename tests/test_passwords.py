"""Changing a password."""

import asyncio
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import update

from app.models import User
from conftest import CHEAP, serving
from people import EMAIL, PASSWORD, change_password, count, create_user, execute, is_logged_in, log_in, page, register


async def test_a_changed_password_is_the_one_that_counts(app: Quart, client: TestClientProtocol) -> None:
    await register(client)

    answer = await change_password(client, new_password="another horse")

    assert (answer.status_code, answer.location) == (303, "/")
    assert "Your password is changed." in await page(client)
    assert (await log_in(app.test_client())).status_code == 422
    assert (await log_in(app.test_client(), password="another horse")).status_code == 303


async def test_other_browsers_are_logged_out_and_this_one_stays_as_it_was(
    app: Quart, client: TestClientProtocol
) -> None:
    other = app.test_client()
    await create_user(app)
    await log_in(other)
    await log_in(client, remember="y")

    answer = await change_password(client)

    assert "Max-Age=15552000" in answer.headers["Set-Cookie"]
    assert await is_logged_in(client)
    assert not await is_logged_in(other)


@pytest.mark.parametrize(
    ("field", "typed", "message"),
    [
        ("password", {"password": "wrong horse"}, "This is not your current password."),
        ("password", {"password": ""}, "Enter your current password."),
        ("new_password", {"new_password": "short"}, "Use 8 characters or more."),
        ("new_password", {"new_password": EMAIL}, "Do not use your e-mail address or a part of it."),
        ("new_password_confirm", {"new_password_confirm": "a different horse"}, "The two passwords differ."),
    ],
)
async def test_what_is_not_right_is_said_and_nothing_changes(
    app: Quart, client: TestClientProtocol, field: str, typed: dict[str, str], message: str
) -> None:
    await register(client)

    answer = await change_password(client, **typed)

    shown = await answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert message in shown.split(f'id="{field}-error"')[1].split("</small>")[0]
    assert await is_logged_in(client)
    assert (await log_in(app.test_client())).status_code == 303


async def test_two_changes_at_once_leave_one_password_and_one_log_in(app: Quart) -> None:
    await create_user(app)
    clients = [app.test_client() for _ in range(2)]
    for client in clients:
        await log_in(client)

    answers = await asyncio.gather(
        *(change_password(client, new_password=f"horse number {n}") for n, client in enumerate(clients))
    )

    assert sorted(answer.status_code for answer in answers) in ([303, 422], [303, 303], [303, 303])
    assert [await is_logged_in(client) for client in clients].count(True) == 1


async def test_a_stranger_is_asked_to_log_in_first(client: TestClientProtocol) -> None:
    assert (await client.get("/change")).location == "/login?next=/change"
    assert (await client.post("/change", form={"password": PASSWORD})).location == "/login?next=/change"


async def test_a_password_manager_finds_the_page_at_its_well_known_address(client: TestClientProtocol) -> None:
    answer = await client.get("/.well-known/change-password")
    assert (answer.status_code, answer.location) == (303, "/change")  # 302, 303 or 307, says the W3C

    # What a password manager asks for to see whether a site says 404 to what it has not.
    unreliable = "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200"
    assert (await client.get(unreliable)).status_code == 404


async def test_where_passwords_are_not_changed_nothing_is_well_known(settings: dict[str, Any]) -> None:
    async with serving(settings | {"SECURITY_CHANGEABLE": False}) as app:
        assert (await app.test_client().get("/.well-known/change-password")).status_code == 404


@pytest.mark.real_hashes
async def test_a_weaker_hash_is_replaced_as_its_owner_logs_in(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)
    weaker = CHEAP.using(argon2__time_cost=1).hash(PASSWORD)
    await execute(app, update(User).values(password=weaker))

    assert (await log_in(client)).status_code == 303
    assert await count(app, User, User.password.startswith("$argon2id$v=19$m=19456,t=2,p=1$")) == 1
