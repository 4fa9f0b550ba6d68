"""Opening an account."""

from datetime import timedelta

from quart import Quart
from quart.typing import TestClientProtocol

from app.models import User, UserSession
from app.services import users
from support.actions import (
    EMAIL,
    PASSWORD,
    count,
    create_user,
    error_beside,
    is_logged_in,
    log_in,
    page,
    register,
    write,
)
from support.app import both_databases
from support.frozen_clock import FrozenClock
from support.mail_helpers import mails

BOB = "bob@example.com"
TAKEN = "An account with this e-mail address already exists."
INVALID = [
    ("email", "", "Enter your e-mail address."),
    ("email", "ada", "Enter an e-mail address like name@example.com."),
    ("email", "a" * 250 + "@example.com", "This e-mail address is too long."),
    ("password", "short", "Use at least 8 characters."),
    ("password", "12345678", "This is one of the most common passwords."),
    ("password", EMAIL, "Do not use your e-mail address or a part of it."),
    ("password_confirm", PASSWORD + "x", "The two passwords do not match."),
]


@both_databases
async def test_a_user_registers_and_is_logged_in(app: Quart, client: TestClientProtocol) -> None:
    response = await register(client)

    assert (response.status_code, response.location) == (303, "/")
    shown = await page(client)
    assert f'title="{EMAIL}"' in shown
    assert "Welcome! Your account was created." in shown
    assert "Welcome!" not in await page(client)


@both_databases
async def test_a_taken_email_address_is_refused_in_any_spelling(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)
    await create_user(app, "ada@b\u00fccher.example.com")

    for taken in ("ADA@EXAMPLE.COM", "Ada@xn--bcher-kva.example.com", f"\u00a0{EMAIL}\u3000"):
        assert await error_beside(await register(client, email=taken), "email") == TAKEN

    assert not await is_logged_in(client)
    assert await count(app, User) == 2
    assert (await log_in(client, email="ada@xn--bcher-kva.example.com")).status_code == 303


async def test_an_invalid_field_is_refused_with_the_reason_beside_it(app: Quart, client: TestClientProtocol) -> None:
    for field, typed, message in INVALID:
        response = await register(client, **{field: typed})
        assert message in await error_beside(response, field), typed

    assert await count(app, User) == 0


# A button that is pressed twice: the browser shows only the second response


async def test_registering_twice_in_a_row_logs_the_user_in(app: Quart, client: TestClientProtocol) -> None:
    other = app.test_client()  # the same browser, before it had the first response

    first, second = await register(client), await register(other, next="/about")

    assert (first.status_code, second.status_code, second.location) == (303, 303, "/about")
    assert "Welcome! Your account was created." in await page(other)
    assert await is_logged_in(client)
    assert await count(app, User) == 1
    assert not await mails(app)
    assert (await register(client)).status_code == 303  # its session takes the place of the one before
    assert await count(app, UserSession) == 2


async def test_a_new_account_is_taken_for_any_other_browser_or_password_and_a_minute_later(
    app: Quart, client: TestClientProtocol, frozen_clock: FrozenClock
) -> None:
    form = {"email": EMAIL, "password": PASSWORD, "password_confirm": PASSWORD}
    await register(client)

    other_browser = await app.test_client().post("/register", form=form, headers={"User-Agent": "another"})
    other_ip = await app.test_client().post("/register", form=form, scope_base={"client": ("192.0.2.7", 4711)})
    other_password = await register(app.test_client(), password="another horse battery staple")
    await register(app.test_client(), email=BOB)
    await write(app, users.deactivate, email=BOB)
    closed = await register(app.test_client(), email=BOB)
    frozen_clock.forward(timedelta(minutes=1))
    assert (await register(app.test_client())).status_code == 303
    frozen_clock.forward(timedelta(seconds=1))
    later = await register(app.test_client())

    for response in (other_browser, other_ip, other_password, closed, later):
        assert await error_beside(response, "email") == TAKEN
