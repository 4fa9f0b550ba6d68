"""Changing a password."""

from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import update

from app.models import User
from support.actions import (
    EMAIL,
    PASSWORD,
    can_log_in,
    change_password,
    count,
    create_user,
    enter,
    error_beside,
    execute,
    is_logged_in,
    log_in,
    page,
    register,
)
from support.app import CHEAP, both_databases, serving

INVALID = [
    ("password", "wrong horse", "The password is wrong."),
    ("password", "", "Enter your current password."),
    ("new_password", "short", "Use at least 8 characters."),
    ("new_password", EMAIL, "Do not use your e-mail address or a part of it."),
    ("new_password_confirm", "a different horse", "The two passwords do not match."),
]


@both_databases
async def test_a_user_changes_the_password_and_logs_in_with_the_new_one(app: Quart, client: TestClientProtocol) -> None:
    await register(client)

    response = await change_password(client, new_password="another horse")

    assert (response.status_code, response.location) == (303, "/")
    assert "Your password was changed," in await page(client)
    assert [await can_log_in(app, password=each) for each in (PASSWORD, "another horse")] == [False, True]


async def test_changing_the_password_ends_all_other_sessions_and_keeps_this_one(app: Quart) -> None:
    await create_user(app)
    client, other = await enter(app, remember="y"), await enter(app)

    response = await change_password(client)

    assert "Max-Age=15552000" in response.headers["Set-Cookie"]
    assert [await is_logged_in(browser) for browser in (client, other)] == [True, False]


async def test_an_invalid_field_is_refused_with_the_reason_beside_it_and_nothing_changes(
    app: Quart, client: TestClientProtocol
) -> None:
    await register(client)

    for field, typed, message in INVALID:
        assert message in await error_beside(await change_password(client, **{field: typed}), field), typed

    assert await is_logged_in(client)
    assert await can_log_in(app)


async def test_a_password_manager_finds_the_page_at_its_well_known_url_unless_it_is_switched_off(
    settings: dict[str, Any], client: TestClientProtocol
) -> None:
    response = await client.get("/.well-known/change-password")
    assert (response.status_code, response.location) == (303, "/change")
    # A password manager requests this to see whether the site returns 404 for pages that do not exist.
    unreliable = "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200"
    assert (await client.get(unreliable)).status_code == 404
    async with serving(settings | {"SECURITY_CHANGEABLE": False}) as app:
        assert (await app.test_client().get("/.well-known/change-password")).status_code == 404


@pytest.mark.real_hashes
async def test_a_weaker_hash_is_replaced_when_its_user_logs_in(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)
    weaker = CHEAP.using(argon2__time_cost=1).hash(PASSWORD)
    await execute(app, update(User).values(password=weaker))

    assert (await log_in(client)).status_code == 303
    assert await count(app, User, User.password.startswith("$argon2id$v=19$m=19456,t=2,p=1$")) == 1


@pytest.mark.parametrize(
    ("chosen", "typed"),
    [
        ("ﬁve correct horses", "five correct horses"),  # a ligature: NFC keeps it, NFKC does not
        (" two spaces around ", "two spaces around"),
        ("two spaces around", " two spaces around "),
    ],
)
async def test_a_password_that_looks_alike_is_another_one(app: Quart, chosen: str, typed: str) -> None:
    await create_user(app, password=chosen)

    assert [await can_log_in(app, password=password) for password in (chosen, typed)] == [True, False]
