"""Trusted devices: a device cookie, so that guesses do not lock the user out."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import update

from app.models import User
from app.services import account_deletion, credentials
from support.actions import EMAIL, PASSWORD, change_password, create_user, execute, is_logged_in, register, write
from support.app import CHEAP, SECRET_KEY, both_databases, serving
from support.guesses import EMAILS, LIMITS, guess, guess_at_others, right, wrong
from support.mail_helpers import mails

HERE, THERE = "192.0.2.1", "192.0.2.2"
BOB = "bob@example.com"


@pytest.fixture
def settings(settings: dict[str, Any]) -> dict[str, Any]:
    return settings | LIMITS


async def trusted_device(app: Quart) -> TestClientProtocol:
    """Return a browser in which the owner of the account logged in, and out again."""
    client = app.test_client()
    assert (await right(client, ip=HERE)).status_code == 303
    await client.post("/logout")
    return client


def device_of(client: TestClientProtocol) -> str:
    return next(cookie.value or "" for cookie in client.cookie_jar or () if cookie.name == "device")


def browser_with(app: Quart, device: str) -> TestClientProtocol:
    client = app.test_client()
    client.set_cookie("localhost", "device", device)
    return client


async def test_guesses_do_not_lock_the_owner_out_of_a_trusted_device(app: Quart, client: TestClientProtocol) -> None:
    await register(client)  # which makes this browser a trusted device too
    owner, attacker = await trusted_device(app), app.test_client()

    assert await guess(attacker, 20, ip=HERE) == {422: 5, 429: 15}
    assert await guess_at_others(attacker, 20, ip=HERE) == {422: 5, 429: 15}
    assert (await right(attacker, ip=HERE)).status_code == 429
    assert await guess(owner, 4, ip=THERE) == {422: 4}
    assert {(await right(browser, ip=THERE)).status_code for browser in (owner, client)} == {303}


async def test_a_copied_device_cookie_authenticates_no_request_and_has_five_guesses(app: Quart) -> None:
    await create_user(app)
    device = device_of(await trusted_device(app))
    attacker = browser_with(app, device)

    assert not await is_logged_in(attacker)
    for copied in (device, f"{device}~{device}", f"x~{device}", device):
        assert set(await guess(browser_with(app, copied), 2)) <= {422, 429}
    assert await guess(attacker, 3) == {429: 3}
    assert await guess(attacker, 3, email="ADA@example.com") == {429: 3}


async def test_a_device_cookie_of_another_account_or_a_forged_one_is_not_trusted(app: Quart) -> None:
    await create_user(app)
    await create_user(app, BOB)
    name, mark, signature = device_of(await trusted_device(app)).split(".")
    await right(bob := app.test_client(), email=BOB)
    foreign = device_of(bob)
    await guess(app.test_client(), 5)

    cut = ["", "~", ".", "..", name, f"{name}.{mark}", f".{mark}.{signature}", f"{name}.{signature}", "a" * 3000]
    mixed = [f"{name}x.{mark}.{signature}", f"{name}.{foreign.partition('.')[2]}", f"{name}.{mark[:-1]}.{signature}"]
    mixed += ["x~" * 5 + f"{name}.{mark}.{signature}", f"{name}.{mark}.{signature[:-1]}"]
    for device in (foreign, *cut, *mixed):
        assert (await right(browser_with(app, device))).status_code == 429, device


async def delete_and_register(app: Quart) -> None:
    await write(app, account_deletion.delete_by_email, email=EMAIL)
    await create_user(app)


async def set_again(app: Quart) -> None:
    async with app.app_context():
        await credentials.set_password(EMAIL, PASSWORD)


@both_databases
@pytest.mark.parametrize("replace", [delete_and_register, set_again])
async def test_a_device_cookie_is_worth_nothing_after_the_password_was_replaced(
    app: Quart, replace: Callable[[Quart], Awaitable[None]]
) -> None:
    await create_user(app)
    browsers = [await trusted_device(app) for _ in range(2)]
    await replace(app)

    assert (await right(browsers[0])).status_code == 303
    assert (await mails(app))[-1].template == "new_login"
    assert await guess(app.test_client(), 5) == {422: 5}
    assert [(await right(browser)).status_code for browser in browsers] == [303, 429]


async def test_the_browser_that_replaces_the_hash_stays_a_trusted_device(app: Quart) -> None:
    await create_user(app)
    browser = await trusted_device(app)
    await execute(app, update(User).values(password=CHEAP.using(argon2__time_cost=1).hash(PASSWORD)))

    assert (await right(browser)).status_code == 303
    await guess(app.test_client(), 5)
    assert (await right(browser)).status_code == 303
    assert (await change_password(browser)).status_code == 303
    assert (await right(browser, password="another horse battery staple")).status_code == 303


async def test_guesses_in_trusted_devices_count_for_the_ip_address(app: Quart) -> None:
    users = [await create_user(app, next(EMAILS)) for _ in range(3)]
    for user in users:
        await right(browser := app.test_client(), email=user.email)
        await guess(browser, 4, email=user.email, ip=HERE)

    assert (await wrong(browser, email=user.email, ip=HERE)).status_code == 429
    assert (await right(browser, email=user.email, ip=THERE)).status_code == 303


async def test_a_device_cookie_is_trusted_under_a_former_key_and_under_no_other(settings: dict[str, Any]) -> None:
    async with serving(settings) as app:
        await create_user(app)
        device = device_of(await trusted_device(app))
        await guess(app.test_client(), 5)
    for fallbacks, status in (((), 429), ((SECRET_KEY,), 303)):
        keys = {"SECRET_KEY": SECRET_KEY[::-1], "SECRET_KEY_FALLBACKS": fallbacks}
        async with serving(settings | keys) as app:
            assert (await right(browser_with(app, device))).status_code == status


async def test_a_browser_is_trusted_for_its_last_five_accounts(app: Quart, client: TestClientProtocol) -> None:
    users = [await create_user(app, next(EMAILS)) for _ in range(6)]
    assert [(await right(client, email=user.email)).status_code for user in users] == [303] * 6
    for user in users[:2]:
        await guess(app.test_client(), 5, email=user.email)

    assert [(await right(client, email=user.email)).status_code for user in users] == [429] + [303] * 5


async def test_a_device_cookie_is_random_and_only_a_login_sets_it(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)

    assert "Set-Cookie" not in (await wrong(client)).headers
    (cookie,) = [line for line in (await right(client)).headers.getlist("Set-Cookie") if line.startswith("device=")]
    assert re.match(r"device=[\w-]{16}\.[0-9a-f]{16}\.[\w-]{43}; .*Max-Age=15552000; ", cookie)
