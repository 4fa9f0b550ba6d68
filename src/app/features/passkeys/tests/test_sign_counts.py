"""The sign count reveals a copied passkey."""

from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import select

from app.features.passkeys.models import Passkey
from app.features.passkeys.tests.authenticator import SEEN, SYNCED, added, options_of, send
from support.actions import create_user, enter, scalars
from support.app import both_databases
from support.email_links import events
from support.mail_helpers import mails

LOGIN = "/login/passkey"


@both_databases
async def test_a_copied_passkey_is_refused_recorded_and_reported(app: Quart, client: TestClientProtocol) -> None:
    await app.extensions["mail_worker"].stop()
    await create_user(app)
    key = await added(await enter(app), count=7)

    for sign_count, status in ((7, 422), (1, 422), (0, 422), (8, 200), (9, 200), (8, 422)):
        response = await send(client, LOGIN, key.get(await options_of(client, LOGIN), count=sign_count))
        assert (sign_count, response.status_code) == (sign_count, status)
    assert await events(app, "passkey_count_decreased") == len(await mails(app, "passkey_copied")) == 4
    assert await scalars(app, select(Passkey.sign_count)) == [9]


async def test_a_passkey_that_is_synced_or_does_not_count_needs_no_higher_count(
    app: Quart, client: TestClientProtocol
) -> None:
    await create_user(app)
    for flags, counts in ((SEEN | SYNCED, (5, 5, 0)), (SEEN, (0, 0, 0))):
        device = await added(await enter(app), flags=flags, count=counts[0])
        for sign_count in counts[1:]:
            response = await send(client, LOGIN, device.get(await options_of(client, LOGIN), count=sign_count))
            assert response.status_code == 200
