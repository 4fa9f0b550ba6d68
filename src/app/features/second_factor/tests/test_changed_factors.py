"""Remove a second factor, and replace its recovery codes."""

import re
import sys
from datetime import timedelta
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol

from app.features.second_factor.models import RecoveryCode, SecondFactor
from app.features.second_factor.second_factor_bp import second_factor_bp
from app.features.second_factor.tests.authenticator import (
    TOTP,
    confirm,
    enrol,
    enrolled_user,
    enter_code,
    password_entered,
)
from support.actions import count, create_user, enter, is_logged_in, page
from support.app import both_databases, serving
from support.email_links import events
from support.frozen_clock import FrozenClock
from support.mail_helpers import mails

PAGE, CODES = "/account/second-factor", "/account/second-factor/codes"


async def test_new_recovery_codes_are_not_shown_later(
    app: Quart, ada: TestClientProtocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[second_factor_bp.import_name], "NEW_CODES_MAX_AGE_SECONDS", -1)

    assert (await enrol(ada)).recovery_codes == []


async def test_every_change_needs_a_fresh_login(app: Quart, ada: TestClientProtocol, frozen_clock: FrozenClock) -> None:
    await enrol(ada)
    frozen_clock.forward(timedelta(minutes=21))

    for path in (f"{TOTP}/remove", CODES, TOTP):
        response = await ada.post(path, form={"code": "123456"})
        assert response.location.startswith("/verify")
    assert (await ada.get(TOTP)).location.startswith("/verify")
    assert [await count(app, table) for table in (SecondFactor, RecoveryCode)] == [1, 10]


@both_databases
async def test_every_change_is_in_the_audit_log_and_alerts_the_user(app: Quart, ada: TestClientProtocol) -> None:
    phone = await enrol(ada)
    await ada.post(CODES)
    replaced = re.findall(r"<code>(\d\d-\w{5}-\w{5})</code>", await page(ada, PAGE))
    browser = await password_entered(app)
    assert (await enter_code(browser, phone.recovery_codes[0])).status_code == 422
    assert (await enter_code(browser, replaced[0])).status_code == 303
    await ada.post(f"{TOTP}/remove")

    expected = ["second_factor_added", "recovery_codes_replaced", "recovery_code_used", "second_factor_removed"]
    alerts = [mail for mail in await mails(app) if mail.template == "second_factor_changed"]
    assert [mail.facts["change"] for mail in alerts] == expected
    assert all(mail.purpose == "not-me" for mail in alerts)
    assert [await events(app, event) for event in expected] == [1, 1, 1, 1]
    assert [await count(app, table) for table in (SecondFactor, RecoveryCode)] == [0, 0]
    assert await is_logged_in(await enter(app))
    for path in (f"{TOTP}/remove", CODES):  # once more, from an old tab
        assert (await ada.post(path)).location == PAGE


@pytest.mark.parametrize("subject", ["ACCOUNT", "IP"])
async def test_new_recovery_codes_are_rate_limited(settings: dict[str, Any], subject: str) -> None:
    async with serving(settings | {f"RATE_LIMIT_NEW_RECOVERY_CODES_PER_{subject}": "3 per minute"}) as app:
        await create_user(app)
        await confirm(app)
        ada = await enter(app)
        await enrol(ada)

        assert [(await ada.post(CODES)).status_code for _ in range(3)] == [303, 303, 429]


@pytest.mark.parametrize("path", [CODES, f"{TOTP}/remove"])
async def test_a_user_cannot_change_the_second_factor_of_another_user(app: Quart, path: str) -> None:
    phone = await enrolled_user(app)
    await create_user(app, "bob@example.com")
    bob = await enter(app, "bob@example.com")

    await bob.post(path)
    assert [await count(app, table) for table in (SecondFactor, RecoveryCode)] == [1, 10]
    assert (await enter_code(await password_entered(app), phone.recovery_codes[0])).location == "/"
