"""Logging in and out, and what a cookie is worth."""

import pytest
from quart import Quart
from quart.typing import TestClientProtocol

from people import (
    EMAIL,
    create_user,
    is_logged_in,
    log_in,
    page,
)


async def test_a_person_logs_in_and_sees_who_they_are(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)

    answer = await log_in(client)

    assert (answer.status_code, answer.location) == (303, "/")
    assert f"Logged in as <strong>{EMAIL}</strong>" in await page(client)


@pytest.mark.parametrize("typed", [{"password": "wrong horse"}, {"email": "nobody@example.com"}])
async def test_wrong_credentials_are_refused_alike(
    app: Quart, client: TestClientProtocol, typed: dict[str, str]
) -> None:
    await create_user(app)

    answer = await log_in(client, **typed)

    assert answer.status_code == 422
    assert "The address or the password is wrong." in await answer.get_data(as_text=True)
    assert not await is_logged_in(client)
