"""Rate limits, a row per flow: counted in the database, for all processes together."""

import itertools
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from quart import Quart, Response
from quart.typing import TestClientProtocol

from app.app_factory import create_app
from app.lib.settings.loader import ConfigError
from support.actions import (
    EMAIL,
    PASSWORD,
    at_once,
    can_log_in,
    change_password,
    comparable,
    create_user,
    enter,
    is_logged_in,
    register,
)
from support.app import IS_STARTER, SECRET_KEY, UNLIMITED, both_databases, serving
from support.email_links import TYPED, events, join
from support.frozen_clock import FrozenClock
from support.guesses import EMAILS, LIMITS, guess, guess_at_others, right, wrong
from support.mail_helpers import mails

HERE, THERE = "192.0.2.1", "192.0.2.2"
BOB = "bob@example.com"
WINDOW = timedelta(minutes=1)


@pytest.fixture
def settings(settings: dict[str, Any]) -> dict[str, Any]:
    return settings | LIMITS


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


def test_every_limit_of_the_starter_has_a_flow_and_a_default() -> None:
    of_the_starter = {
        "RATE_LIMIT_WRONG_PASSWORDS_PER_ACCOUNT": "5 per 5 minutes",
        "RATE_LIMIT_WRONG_PASSWORDS_PER_IP": "10 per minute",
        "RATE_LIMIT_LOGINS_PER_IP": "30 per minute",
        "RATE_LIMIT_REGISTRATIONS_PER_IP": "20 per minute",
        "RATE_LIMIT_EMAILS_PER_IP": "10 per minute",
        "RATE_LIMIT_EMAILS_PER_ACCOUNT": "3 per hour",
    }
    assert of_the_starter.items() <= LIMITS.items()
    assert not IS_STARTER or of_the_starter == LIMITS
    assert {*FLOWS, "RATE_LIMIT_EMAILS_PER_ACCOUNT"} == set(of_the_starter)


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
