"""Passkeys count against the limit of logins from one IP address."""

from typing import Any

from app.features.passkeys.tests.authenticator import Authenticator, add, added, use
from support.actions import create_user, enter
from support.app import serving
from support.email_links import events
from support.mail_helpers import mails

VERIFY = "/verify/passkey"


async def test_adding_passkeys_is_limited(settings: dict[str, Any]) -> None:
    """Each new passkey is an event, which is stored for a year."""
    async with serving(settings | {"RATE_LIMIT_LOGINS_PER_IP": "3 per minute"}) as app:
        await app.extensions["mail_worker"].stop()
        await create_user(app)
        ada = await enter(app)

        assert [(await add(ada, Authenticator())).status_code for _ in range(3)] == [201, 201, 429]
        assert await events(app, "passkey_added") == len(await mails(app, "passkey_added")) == 2


async def test_reauthentications_with_passkeys_are_limited(settings: dict[str, Any]) -> None:
    async with serving(settings | {"RATE_LIMIT_LOGINS_PER_IP": "3 per minute"}) as app:
        await create_user(app)
        ada = await enter(app)
        laptop = await added(ada)

        assert [(await use(ada, laptop, VERIFY)).status_code for _ in range(2)] == [200, 429]
