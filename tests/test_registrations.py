"""Opening an account."""

import asyncio

import pytest
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import update

from app.models import User, UserSession
from people import EMAIL, PASSWORD, count, create_user, execute, is_logged_in, log_in, page, register


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
    answers = await asyncio.gather(*(register(app.test_client()) for _ in range(20)))

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
    assert (await register(app.test_client(), email="Ada@xn--bcher-kva.example.com")).status_code == 422
    assert (await log_in(app.test_client(), email="ada@xn--bcher-kva.example.com")).status_code == 303


async def test_a_name_is_shown_and_never_unescaped(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    await execute(app, update(User).values(name="<svg onload=alert(1)>"))

    shown = await page(client)

    assert "&lt;svg onload=alert(1)&gt; &lt;ada@example.com&gt;" in shown
    assert "<svg" not in shown
