"""The fixtures of the passkeys."""

import pytest
from quart import Quart
from quart.typing import TestClientProtocol

from app.features.passkeys.tests.authenticator import Authenticator, added
from support.actions import create_user, enter


@pytest.fixture
async def ada(app: Quart) -> TestClientProtocol:
    """Return the browser of a user, logged in. No e-mail is delivered."""
    await app.extensions["mail_worker"].stop()
    await create_user(app)
    return await enter(app)


@pytest.fixture
async def laptop(app: Quart) -> Authenticator:
    """Return a device with a passkey of a user. No e-mail is delivered."""
    await app.extensions["mail_worker"].stop()
    await create_user(app)
    return await added(await enter(app))
