"""Opening an account."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import update

from app.config import DEFAULTS
from app.models import User, UserSession, db
from app.services import accounts
from conftest import serving
from letters_read import mails
from people import EMAIL, PASSWORD, count, create_user, execute, is_logged_in, log_in, page, register
from test_sessions import MovedClock, moved_clock

__all__ = ["moved_clock"]  # a fixture

TAKEN = "There is an account with this address."


async def test_a_person_registers_and_is_logged_in(app: Quart, client: TestClientProtocol) -> None:
    answer = await register(client)

    assert (answer.status_code, answer.location) == (303, "/")
    shown = await page(client)
    assert f"Logged in as <strong>{EMAIL}</strong>" in shown
    assert "Welcome. Your account is open and you are logged in." in shown
    assert "Welcome. Your account is open" not in await page(client)


async def test_registering_goes_where_the_person_was_going(client: TestClientProtocol) -> None:
    assert 'value="/about"' in await page(client, "/register?next=/about")
    assert (await register(client, next="/about")).location == "/about"
    assert (await client.get("/register")).location == "/"


async def test_a_taken_address_is_refused_in_any_case(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app, "ada@example.com")

    answer = await register(client, email="ADA@EXAMPLE.COM")

    assert answer.status_code == 422
    assert "There is an account with this address." in await answer.get_data(as_text=True)
    assert await count(app, User) == 1


async def test_twenty_people_racing_for_an_address_get_one_account(app: Quart) -> None:
    passwords = [f"horse battery staple {n}" for n in range(20)]

    answers = await asyncio.gather(*(register(app.test_client(), password=password) for password in passwords))

    assert sorted(answer.status_code for answer in answers) == [303] + [422] * 19
    assert await count(app, User) == 1
    assert await count(app, UserSession) == 1


async def test_twenty_people_with_twenty_addresses_all_get_in(app: Quart) -> None:
    clients = [app.test_client() for _ in range(20)]

    await asyncio.gather(*(register(client, email=f"{n}@example.com") for n, client in enumerate(clients)))

    assert all([await is_logged_in(client) for client in clients])


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ({"email": ""}, "Enter your e-mail address."),
        ({"email": "ada"}, "Enter an e-mail address like name@example.com."),
        ({"email": "a" * 250 + "@example.com"}, "This address is too long."),
        ({"password": "short"}, "Use 8 characters or more."),
        ({"password": "12345678"}, "This is one of the most common passwords."),
        ({"password": EMAIL}, "Do not use your e-mail address or a part of it."),
        ({"password_confirm": PASSWORD + "x"}, "The two passwords differ."),
    ],
)
async def test_what_is_not_right_is_said_beside_its_field(
    app: Quart, client: TestClientProtocol, typed: dict[str, str], message: str
) -> None:
    answer = await register(client, **typed)

    shown = await answer.get_data(as_text=True)
    field = next(iter(typed))
    assert answer.status_code == 422
    assert message in shown.split(f'id="{field}-error"')[1].split("</small>")[0]
    assert await count(app, User) == 0


async def test_an_international_domain_is_one_account_in_both_its_forms(app: Quart, client: TestClientProtocol) -> None:
    assert (await register(client, email="ada@b\u00fccher.example.com")).status_code == 303
    other = {"email": "Ada@xn--bcher-kva.example.com", "password": "another horse"}
    assert (await register(app.test_client(), **other)).status_code == 422
    assert (await log_in(app.test_client(), email="ada@xn--bcher-kva.example.com")).status_code == 303


async def test_a_name_is_shown_and_never_unescaped(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    await execute(app, update(User).values(name="<svg onload=alert(1)>"))

    shown = await page(client)

    assert "&lt;svg onload=alert(1)&gt; &lt;ada@example.com&gt;" in shown
    assert "<svg" not in shown


# A button that is pressed twice: the browser shows only the second answer


async def test_who_registers_twice_in_a_row_is_logged_in(app: Quart, client: TestClientProtocol) -> None:
    other = app.test_client()  # the same browser, before it had the first answer

    first, second = await register(client), await register(other, next="/about")

    assert (first.status_code, second.status_code, second.location) == (303, 303, "/about")
    assert "Welcome. Your account is open and you are logged in." in await page(other)
    assert await is_logged_in(client)
    assert await count(app, User) == 1
    assert not await mails(app)


async def test_a_second_answer_that_knows_the_first_takes_its_place(app: Quart, client: TestClientProtocol) -> None:
    assert [(await register(client)).status_code for _ in range(3)] == [303, 303, 303]

    assert await is_logged_in(client)
    assert await count(app, UserSession) == 1


async def test_who_registers_five_times_at_once_has_one_account_and_is_logged_in(app: Quart) -> None:
    clients = [app.test_client() for _ in range(5)]

    answers = await asyncio.gather(*map(register, clients))

    assert [answer.status_code for answer in answers] == [303] * 5
    assert all([await is_logged_in(client) for client in clients])
    assert await count(app, User) == 1


async def test_another_password_does_not_open_a_new_account(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    other = app.test_client()

    answer = await register(other, password="another horse battery staple")

    assert answer.status_code == 422
    assert TAKEN in await answer.get_data(as_text=True)
    assert not await is_logged_in(other)


async def test_a_minute_later_it_is_taken(app: Quart, client: TestClientProtocol, moved_clock: MovedClock) -> None:
    await register(client)

    moved_clock.forward(timedelta(minutes=1))
    assert (await register(app.test_client())).status_code == 303
    moved_clock.forward(timedelta(seconds=1))
    late = await register(app.test_client())

    assert late.status_code == 422
    assert TAKEN in await late.get_data(as_text=True)


async def test_a_new_account_is_taken_in_another_browser(app: Quart, client: TestClientProtocol) -> None:
    form = {"email": EMAIL, "password": PASSWORD, "password_confirm": PASSWORD}
    await register(client)

    others: list[dict[str, Any]] = [
        {"headers": {"User-Agent": "another"}},
        {"scope_base": {"client": ("192.0.2.7", 4711)}},
    ]
    for other in others:
        assert (await app.test_client().post("/register", form=form, **other)).status_code == 422
    assert (await register(app.test_client())).status_code == 303


async def test_a_new_account_that_was_closed_is_taken(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    async with app.app_context():
        await db.write(accounts.deactivate, email=EMAIL)

    answer = await register(app.test_client())

    assert answer.status_code == 422
    assert TAKEN in await answer.get_data(as_text=True)


async def test_an_account_that_was_not_opened_by_a_browser_is_taken(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)

    assert (await register(client)).status_code == 422
    assert not await is_logged_in(client)


async def test_a_new_account_guesses_no_more_passwords_than_a_log_in(settings: dict[str, Any]) -> None:
    limits = ("THROTTLE_WRONG_PASSWORDS_PER_ACCOUNT", "THROTTLE_LOG_INS_PER_ADDRESS")
    async with serving(settings | {name: DEFAULTS[name] for name in limits}) as app:
        await register(app.test_client())
        guesses = [register(app.test_client(), password=f"horse battery {n}") for n in range(8)]

        statuses = sorted(answer.status_code for answer in await asyncio.gather(*guesses))

        assert statuses == [422] * 5 + [429] * 3
        assert (await register(app.test_client())).status_code == 429
        assert (await log_in(app.test_client())).status_code == 429


async def test_an_account_that_is_not_new_pays_nothing_for_who_wants_its_address(settings: dict[str, Any]) -> None:
    limit = {"THROTTLE_WRONG_PASSWORDS_PER_ACCOUNT": DEFAULTS["THROTTLE_WRONG_PASSWORDS_PER_ACCOUNT"]}
    async with serving(settings | limit) as app:
        await create_user(app)

        assert {(await register(app.test_client())).status_code for _ in range(8)} == {422}
        assert (await log_in(app.test_client())).status_code == 303
