"""Rate limits, a row per flow: counted in the database, for all processes together."""

import itertools
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from quart import Quart, Response
from quart.typing import TestClientProtocol
from sqlalchemy import update

from app import default_config
from app.app_factory import create_app
from app.lib.settings.loader import ConfigError, defaults_of
from app.models import User
from app.services import account_deletion, credentials
from support.actions import (
    EMAIL,
    PASSWORD,
    at_once,
    can_log_in,
    change_password,
    comparable,
    create_user,
    enter,
    execute,
    is_logged_in,
    register,
    write,
)
from support.app import CHEAP, SECRET_KEY, UNLIMITED, both_databases, serving
from support.email_links import TYPED, events, join
from support.frozen_clock import FrozenClock
from support.mail_helpers import mails

HERE, THERE = "192.0.2.1", "192.0.2.2"
BOB = "bob@example.com"
IP_ADDRESSES = (f"10.0.{number >> 8}.{number & 255}" for number in itertools.count())
EMAILS = (f"user{number}@example.com" for number in itertools.count())
LIMITS = {
    key: rate
    for key, rate in defaults_of(default_config).items()
    if key.startswith("RATE_LIMIT_") and "PHONE" not in key  # those are in test_phone.py
}
WINDOW = timedelta(minutes=1)


@pytest.fixture
def settings(settings: dict[str, Any]) -> dict[str, Any]:
    return settings | LIMITS


async def right(client: TestClientProtocol, *, ip: str = "", **more: Any) -> Response:
    """Log in, from an IP address that was not used before unless one is given."""
    form = {"email": EMAIL, "password": PASSWORD} | more
    headers = form.pop("headers", None)
    scope = {"client": (ip or next(IP_ADDRESSES), 4711)}
    return await client.post("/login", form=form, headers=headers, scope_base=scope)


async def wrong(client: TestClientProtocol, **more: Any) -> Response:
    return await right(client, password="wrong horse", **more)


async def guess(client: TestClientProtocol, times: int, **more: Any) -> Counter[int]:
    return await at_once(wrong(client, **more) for _ in range(times))


async def guess_at_others(client: TestClientProtocol, times: int, **more: Any) -> Counter[int]:
    return await at_once([wrong(client, email=next(EMAILS), **more) for _ in range(times)])


# Every limit, a row per flow


class Flow(NamedTuple):
    """A form that is sent many times, where {} differs each time, and its status while the limit is not reached."""

    path: str
    form: dict[str, str]
    status: int
    is_logged_in: bool = False


LOGIN = {"email": EMAIL, "password": PASSWORD}
OTHER = {"email": "{}@example.com", "password": PASSWORD, "password_confirm": PASSWORD}
FLOWS = {
    "RATE_LIMIT_EMAILS_PER_IP": [
        Flow("/change-email", OTHER, 303, is_logged_in=True),
        Flow("/reset", OTHER, 303),
        Flow("/confirm", OTHER, 303),
    ],
    "RATE_LIMIT_WRONG_PASSWORDS_PER_ACCOUNT": [
        Flow("/login", LOGIN | {"password": "wrong horse"}, 422),
        Flow("/login", LOGIN | {"email": BOB}, 422),  # who has no account
        Flow("/change", TYPED | {"password": "wrong horse"}, 422, is_logged_in=True),
    ],
    "RATE_LIMIT_WRONG_PASSWORDS_PER_IP": [Flow("/login", OTHER, 422)],
    "RATE_LIMIT_LOGINS_PER_IP": [Flow("/login", LOGIN, 303)],
    "RATE_LIMIT_REGISTRATIONS_PER_IP": [Flow("/register", OTHER, 303)],
}


@both_databases
async def test_of_simultaneous_requests_no_more_than_the_limit_pass(
    settings: dict[str, Any], frozen_clock: FrozenClock, subtests: pytest.Subtests
) -> None:
    numbers = itertools.count(10_000_000)
    async with serving(settings | UNLIMITED | {"SECURITY_CONFIRMABLE": True}) as app:
        user = await join(app)

        async def send(flow: Flow) -> Response:
            number = next(numbers)
            form = {field: value.format(number) for field, value in flow.form.items()}
            return await (user if flow.is_logged_in else app.test_client()).post(flow.path, form=form)

        for setting, flow in ((setting, flow) for setting, flows in FLOWS.items() for flow in flows):
            app.config.update(UNLIMITED | {setting: "3 per minute"})
            frozen_clock.forward(WINDOW)
            with subtests.test(setting=setting, path=flow.path):
                assert await at_once(send(flow) for _ in range(6)) == {flow.status: 3, 429: 3}
                frozen_clock.forward(WINDOW - timedelta(seconds=1))
                assert (await send(flow)).headers["Retry-After"] == "1"
                frozen_clock.forward(timedelta(seconds=1))
                assert await at_once(send(flow) for _ in range(4)) == {flow.status: 3, 429: 1}


def test_every_limit_has_a_flow_and_a_default() -> None:
    assert {*FLOWS, "RATE_LIMIT_EMAILS_PER_ACCOUNT"} == set(LIMITS)
    assert LIMITS == {
        "RATE_LIMIT_WRONG_PASSWORDS_PER_ACCOUNT": "5 per 5 minutes",
        "RATE_LIMIT_WRONG_PASSWORDS_PER_IP": "10 per minute",
        "RATE_LIMIT_LOGINS_PER_IP": "30 per minute",
        "RATE_LIMIT_REGISTRATIONS_PER_IP": "20 per minute",
        "RATE_LIMIT_EMAILS_PER_IP": "10 per minute",
        "RATE_LIMIT_EMAILS_PER_ACCOUNT": "3 per hour",
    }


def test_a_rate_that_is_no_number_and_period_stops_the_start() -> None:
    wrong_rates = ["", "5", "0 per minute", "5 per 0 minutes", "-1 per minute", "5/minute", "5 per year", "٥ per day"]
    for rate in [*wrong_rates, "5 per minute\n5 per hour", "1.5 per day", "9" * 10 + " per day"]:
        with pytest.raises(ConfigError, match=r"^RATE_LIMIT_LOGINS_PER_IP .*: write a rate like '5 per 5 minutes'$"):
            create_app({"SECRET_KEY": SECRET_KEY, "RATE_LIMIT_LOGINS_PER_IP": rate})


# E-mails to one account: the limit is silent


@both_databases
async def test_a_fourth_email_to_one_account_is_not_sent_and_the_response_does_not_reveal_it(
    settings: dict[str, Any], frozen_clock: FrozenClock, subtests: pytest.Subtests
) -> None:
    limit = {"RATE_LIMIT_EMAILS_PER_ACCOUNT": "3 per minute", "SECURITY_CONFIRMABLE": True}
    async with serving(settings | UNLIMITED | limit) as app:
        ada = await join(app)
        for path, template in (
            ("/reset", "reset"),
            ("/confirm", "confirm"),
            ("/register", "confirm"),
            ("/register", "email_taken"),
            ("/change-email", "email_taken"),
        ):
            email = next(EMAILS)
            await (create_user if template == "confirm" else join)(app, email)
            form, responses, newest = {"email": email, "password": PASSWORD, "password_confirm": PASSWORD}, [], []
            for number in range(5):
                frozen_clock.forward(WINDOW if number == 4 else timedelta(0))
                browser = ada if path == "/change-email" else app.test_client()
                responses.append(await comparable(await browser.post(path, form=form)))
                newest.append((await mails(app, template, to=email))[-1].id)
                await browser.get("/")  # which shows the message

            with subtests.test(path=path, template=template):
                assert responses == [responses[0]] * 5
                assert (newest[3], len(set(newest))) == (newest[2], 4)


@both_databases
async def test_simultaneous_requests_send_no_more_than_three_emails_to_one_account(settings: dict[str, Any]) -> None:
    async with serving(settings | UNLIMITED | {"RATE_LIMIT_EMAILS_PER_ACCOUNT": "3 per minute"}) as app:
        ada, _bob = await join(app), await create_user(app, BOB)

        resets = [app.test_client().post("/reset", form={"email": EMAIL}) for _ in range(8)]
        changes = [ada.post("/change-email", form={"email": BOB}) for _ in range(8)]
        assert await at_once([*resets, *changes]) == {303: 16}

        assert await events(app, "password_reset_requested") == 3
        assert len(await mails(app, "email_taken", to=BOB)) == 3
        await app.test_client().post("/reset", form={"email": BOB})  # which has a count of its own
        assert await events(app, "password_reset_requested") == 4


# Guesses at an account


async def test_the_sixth_wrong_password_is_refused_in_any_spelling_and_so_is_the_right_one(
    app: Quart, client: TestClientProtocol
) -> None:
    await create_user(app)
    await create_user(app, BOB)

    spellings = [EMAIL, "ADA@example.com", "ada@EXAMPLE.COM", " ada@example.com", "ada@example.com  ", EMAIL.title()]
    assert [(await wrong(client, email=spelling)).status_code for spelling in spellings] == [422] * 5 + [429]
    assert (await right(client)).status_code == 429
    assert not await is_logged_in(client)
    assert (await right(client, email=BOB)).status_code == 303


@both_databases
async def test_of_forty_simultaneous_guesses_by_two_workers_five_are_verified(settings: dict[str, Any]) -> None:
    async with serving(settings) as one, serving(settings) as other:
        await create_user(one)
        guesses = [wrong(app.test_client()) for app in (one, other) * 20]

        assert await at_once(guesses) == {422: 5, 429: 35}


async def test_a_right_password_is_refunded_and_refunds_no_wrong_one(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)

    assert await guess(client, 4) == {422: 4}
    assert [(await right(client, ip=HERE)).status_code for _ in range(12)] == [303] * 12
    client = app.test_client()  # without the cookie of a trusted device
    assert [(await wrong(client)).status_code for _ in range(2)] == [422, 429]


async def test_a_refusal_contains_when_to_retry_and_does_not_lengthen_the_window(
    app: Quart, client: TestClientProtocol, frozen_clock: FrozenClock, log: pytest.LogCaptureFixture
) -> None:
    await create_user(app)
    await guess(client, 5)

    frozen_clock.forward(timedelta(seconds=61))
    html = await wrong(client)
    json = await wrong(client, headers={"Accept": "application/json"})

    assert log.text.count(" limit=wrong_passwords_per_account ") == 2
    assert html.headers["Retry-After"] == json.headers["Retry-After"] == "239"
    assert "Try again in 4 minutes" in await html.get_data(as_text=True)
    error = (await json.get_json())["error"]
    assert (error["code"], "Try again in 4 minutes" in error["message"]) == ("too_many_requests", True)
    frozen_clock.forward(timedelta(seconds=239))
    assert (await right(client)).status_code == 303


# Guesses inside an account


@both_databases
async def test_guesses_count_together_wherever_a_session_needs_the_password(
    app: Quart, frozen_clock: FrozenClock
) -> None:
    await create_user(app)
    client, other = await enter(app), await enter(app)
    form = TYPED | {"password": "wrong horse"}

    paths = ("/verify", "/account/delete", "/change") * 2
    assert [(await client.post(path, form=form)).status_code for path in paths] == [422] * 5 + [429]
    refused = await other.post("/verify", form={"password": PASSWORD})  # the account is counted, not the session
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "300")
    frozen_clock.forward(timedelta(minutes=5))
    assert (await client.post("/verify", form={"password": PASSWORD})).status_code == 303


async def test_guesses_at_the_login_do_not_keep_the_owner_from_changing_the_password(
    app: Quart, client: TestClientProtocol
) -> None:
    await register(client)

    assert await guess(app.test_client(), 6) == {422: 5, 429: 1}
    assert [(await change_password(client, password=old)).status_code for old in ("wrong", PASSWORD)] == [422, 303]


async def test_a_second_registration_counts_as_a_login_if_the_first_was_made_by_this_client(app: Quart) -> None:
    await create_user(app, BOB)
    await register(app.test_client())

    assert await at_once(register(app.test_client(), email=BOB) for _ in range(8)) == {422: 8}
    assert await at_once(register(app.test_client(), password="wrong horse") for _ in range(8)) == {422: 5, 429: 3}
    assert await can_log_in(app, BOB)


async def test_ipv6_is_counted_by_its_64_bit_network_and_ipv4_by_its_address(
    settings: dict[str, Any], frozen_clock: FrozenClock
) -> None:
    pairs = {
        ("2001:db8::1", "2001:DB8:0:0:ffff::2"): 429,
        ("2001:db8::1", "2001:db8:0:1::1"): 422,
        ("::ffff:192.0.2.1", "192.0.2.1"): 429,
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2"): 422,
        ("192.0.2.1", "192.0.2.1:4711"): 429,
        ("[2001:db8::1]:4711", "2001:db8::2"): 429,
    }
    found = {}
    async with serving(settings | {"RATE_LIMIT_WRONG_PASSWORDS_PER_IP": "1 per minute"}) as app:
        for one, other in pairs:
            await guess_at_others(app.test_client(), 1, ip=one)
            (found[one, other],) = await guess_at_others(app.test_client(), 1, ip=other)
            frozen_clock.forward(timedelta(minutes=1))

    assert found == pairs


# Trusted devices


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
