"""The secret of a second factor is encrypted with the secret key, for its user."""

import pytest
from quart import Quart
from sqlalchemy import select, update

from app.features.second_factor.models import SecondFactor
from app.features.second_factor.tests.authenticator import Phone, enrolled_user, enter_code, password_entered
from support.actions import error_beside, execute, scalars

WRONG = "The code is wrong."


async def test_recovery_codes_work_after_the_secret_key_is_lost(
    app: Quart, phone: Phone, log: pytest.LogCaptureFixture
) -> None:
    await execute(app, update(SecondFactor).values(secret="gAAAA with another key"))
    client = await password_entered(app)

    assert await error_beside(await enter_code(client, phone.code()), "code") == WRONG
    assert "second_factor_undecryptable" in log.text
    assert (await enter_code(client, phone.recovery_codes[0])).status_code == 303


async def test_a_secret_is_encrypted_again_when_it_is_used(app: Quart, phone: Phone) -> None:
    (before,) = await scalars(app, select(SecondFactor.secret))
    app.config["SECRET_KEY_FALLBACKS"] = (app.config["SECRET_KEY"],)
    app.config["SECRET_KEY"] = "a newer key that is long enough for the site"

    assert (await enter_code(await password_entered(app), phone.code())).status_code == 303
    assert await scalars(app, select(SecondFactor.secret)) != [before]
    app.config["SECRET_KEY_FALLBACKS"] = ()
    assert (await enter_code(await password_entered(app), phone.code(1))).status_code == 303


async def test_the_secret_of_another_user_cannot_be_read(app: Quart, phone: Phone) -> None:
    """An attacker with write access to the database gives one user the secret of another."""
    (own,) = await scalars(app, select(SecondFactor.secret))
    mallory = await enrolled_user(app, "mallory@example.com")
    (secret,) = await scalars(app, select(SecondFactor.secret).where(SecondFactor.secret != own))
    await execute(app, update(SecondFactor).values(secret=secret))

    assert await error_beside(await enter_code(await password_entered(app), mallory.code()), "code") == WRONG
