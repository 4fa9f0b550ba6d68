"""The fixtures of the passkeys."""

import pytest
from quart import Quart
from quart.typing import TestClientProtocol

from support.actions import create_user, enter


@pytest.fixture
async def ada(app: Quart) -> TestClientProtocol:
    """Return the browser of a user, logged in. No e-mail is delivered."""
    await app.extensions["mail_worker"].stop()
    await create_user(app)
    return await enter(app)
