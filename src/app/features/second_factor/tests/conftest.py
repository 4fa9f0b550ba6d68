"""A user with a second factor."""

from datetime import timedelta

import pytest
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import delete

from app.features.second_factor.tests.authenticator import Phone, confirm, enrolled_user
from app.models import Email, UserSession
from support.actions import create_user, enter, execute
from support.frozen_clock import FrozenClock


@pytest.fixture
async def phone(app: Quart, frozen_clock: FrozenClock) -> Phone:
    """Return the phone of a user who enrolled an hour ago and has no session. No e-mail is delivered."""
    await app.extensions["mail_worker"].stop()
    phone = await enrolled_user(app)
    frozen_clock.forward(timedelta(hours=1))
    await execute(app, delete(UserSession))
    await execute(app, delete(Email))
    return phone


@pytest.fixture
async def ada(app: Quart) -> TestClientProtocol:
    """Return a browser of a user with a confirmed e-mail address. No e-mail is delivered."""
    await app.extensions["mail_worker"].stop()
    await create_user(app)
    await confirm(app)
    return await enter(app)
