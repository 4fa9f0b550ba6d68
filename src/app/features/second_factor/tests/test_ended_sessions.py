"""A session that ends during its request, and a factor that an attacker has enrolled in a stolen session."""

from datetime import timedelta
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import delete, select

from app.features.second_factor import recovery_codes
from app.features.second_factor.models import RecoveryCode, SecondFactor
from app.features.second_factor.tests.authenticator import TOTP, Phone, enrol, shown_secret
from app.models import UserSession
from support.actions import EMAIL, attacker_with, can_log_in, cookie_of, count, execute, scalars
from support.app import both_databases
from support.email_links import press
from support.frozen_clock import FrozenClock
from support.mail_helpers import link

NEW_PASSWORD = "a new horse battery staple"


def end_sessions_while_codes_are_hashed(app: Quart, monkeypatch: pytest.MonkeyPatch) -> None:
    hash_codes = recovery_codes.hash_codes

    async def hash_slowly(codes: list[tuple[int, str]]) -> Any:
        hashes = await hash_codes(codes)
        await execute(app, delete(UserSession))
        return hashes

    monkeypatch.setattr(recovery_codes, "hash_codes", hash_slowly)


@both_databases
async def test_a_session_that_has_ended_meanwhile_enrols_no_factor(
    app: Quart, ada: TestClientProtocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password change ends the session of an attacker, whose request is still hashing ten codes."""
    phone = Phone(await shown_secret(ada), [])
    end_sessions_while_codes_are_hashed(app, monkeypatch)

    assert (await ada.post(TOTP, form={"code": phone.code()})).location.startswith("/login")
    assert [await count(app, table) for table in (SecondFactor, RecoveryCode)] == [0, 0]


async def test_a_session_that_has_ended_meanwhile_replaces_no_recovery_codes(
    app: Quart, ada: TestClientProtocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    await enrol(ada)
    before = await scalars(app, select(RecoveryCode.hash))
    end_sessions_while_codes_are_hashed(app, monkeypatch)

    assert (await ada.post("/account/second-factor/codes")).location.startswith("/login")
    assert await scalars(app, select(RecoveryCode.hash)) == before


@both_databases
async def test_the_owner_is_not_locked_out_by_the_factor_of_an_attacker(
    app: Quart, ada: TestClientProtocol, frozen_clock: FrozenClock
) -> None:
    """The attacker enrols, and then changes the e-mail address, which revokes the links of the alerts."""
    attacker = attacker_with(app, cookie_of(ada))
    await enrol(attacker)
    frozen_clock.forward(timedelta(minutes=5))
    await attacker.post("/account/second-factor/codes")  # a newer alert
    await attacker.post("/change-email", form={"email": "eve@example.com"})
    await attacker.post(await link(app, "change_email"))

    await press(app.test_client(), await link(app, "email_changed", to=EMAIL))
    await press(app.test_client(), await link(app, "reset", to=EMAIL))
    assert await can_log_in(app, password=NEW_PASSWORD)
    assert await count(app, SecondFactor) == 0


@both_databases
async def test_the_link_of_an_older_alert_works_after_a_newer_one_was_used(
    app: Quart, ada: TestClientProtocol, frozen_clock: FrozenClock
) -> None:
    """Otherwise a factor that is older than the reported alert would lock the owner out."""
    await enrol(ada)
    enrolled = await link(app, "second_factor_changed")
    frozen_clock.forward(timedelta(minutes=5))
    await ada.post("/account/second-factor/codes")
    newest = await link(app, "second_factor_changed")

    assert [(await press(app.test_client(), path)).status_code for path in (newest, enrolled, newest)] == [
        303,
        303,
        404,
    ]
    assert await count(app, SecondFactor) == 0
