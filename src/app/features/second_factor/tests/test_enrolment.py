"""Enrol a second factor."""

from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import select, update

from app.features.second_factor import totp
from app.features.second_factor.models import RecoveryCode, SecondFactor
from app.features.second_factor.tests.authenticator import TOTP, Phone, enrol, shown_secret
from app.models import User
from support.actions import at_once, count, enter, error_beside, execute, is_logged_in, page, register, scalars
from support.app import both_databases
from support.mail_helpers import link

PAGE = "/account/second-factor"


@both_databases
async def test_an_enrolment_stores_nothing_readable_and_shows_ten_codes_once(
    app: Quart, ada: TestClientProtocol
) -> None:
    phone = await enrol(ada)

    assert len(set(phone.recovery_codes)) == 10
    assert phone.recovery_codes[0] not in await page(ada, PAGE)
    stored = [*await scalars(app, select(SecondFactor.secret)), *await scalars(app, select(RecoveryCode.hash))]
    assert len(stored) == 11
    assert all(text.startswith(("gAAAA", "$argon2id$")) for text in stored)


async def test_only_a_correct_code_of_the_shown_secret_enrols(app: Quart, ada: TestClientProtocol) -> None:
    phone = Phone(await shown_secret(ada), [])

    for typed, message in (
        ("", "Enter the code."),
        ("12", "The code is wrong."),
        (phone.wrong_code(), "The code is wrong."),
        (phone.code(5), "The clock of your phone is wrong."),
        ("9" * 101, "This code is too long."),
    ):
        assert (await error_beside(await ada.post(TOTP, form={"code": typed}), "code")).startswith(message)
    assert await count(app, SecondFactor) == 0
    assert await shown_secret(ada) == phone.secret  # a wrong code, or a second tab, keeps the QR code

    spaced = f" {phone.code()[:3]} {phone.code()[3:]} "
    assert (await ada.post(TOTP, form={"code": spaced})).status_code == 303
    assert (await ada.get(TOTP)).location == PAGE


@both_databases
async def test_simultaneous_enrolments_store_one_factor(app: Quart, ada: TestClientProtocol) -> None:
    phone = Phone(await shown_secret(ada), [])

    assert await at_once(ada.post(TOTP, form={"code": phone.code()}) for _ in range(5)) == {303: 5}
    assert [await count(app, table) for table in (SecondFactor, RecoveryCode)] == [1, 10]


@both_databases
async def test_an_enrolment_ends_the_other_sessions(app: Quart, ada: TestClientProtocol) -> None:
    attacker = await enter(app)

    await enrol(ada)

    assert (await attacker.post(f"{TOTP}/remove")).location.startswith("/login")
    assert [await is_logged_in(ada), await count(app, SecondFactor)] == [True, 1]


async def test_an_old_cookie_does_not_show_the_secret_again(app: Quart, ada: TestClientProtocol) -> None:
    secret = await shown_secret(ada)
    assert ada.cookie_jar
    before = [*ada.cookie_jar]
    await enrol(ada)
    for cookie in before:
        ada.cookie_jar.set_cookie(cookie)

    for response in (await ada.get(TOTP), await ada.post(TOTP, form={"code": ""})):
        assert (response.location, totp.as_text(secret) in str(await response.data)) == (PAGE, False)


@both_databases
async def test_an_unconfirmed_user_must_confirm_the_email_address_first(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    assert (await client.get(TOTP)).location == PAGE
    assert (await client.post(TOTP, form={"code": "123456"})).location == PAGE
    assert await count(app, SecondFactor) == 0

    await client.post("/account/confirm")
    confirmation = await link(app, "confirm")
    assert "New password" in await page(app.test_client(), confirmation)  # an attacker may have registered it
    assert "New password" not in await page(client, confirmation)
    assert (await client.post(confirmation)).location == "/account"
    assert await is_logged_in(client)
    assert await enrol(client)


async def test_a_link_does_not_confirm_another_email_address(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    await client.post("/account/confirm")
    confirmation = await link(app, "confirm")
    await execute(app, update(User).values(email="bob@example.com", email_key="bob@example.com"))

    assert (await client.post(confirmation)).status_code == 404
    assert await scalars(app, select(User.confirmed_on)) == [None]
