"""The page for a body that is too large: how much may be sent, in the navigation of the user."""

import pytest
from quart import Quart
from quart.typing import TestClientProtocol

from support.actions import register


@pytest.mark.usefixtures("three_languages")
@pytest.mark.parametrize(("language", "limit"), [("en", "65 kB"), ("de", "65 kB"), ("fr", "65 ko")])
async def test_the_page_names_the_limit(client: TestClientProtocol, language: str, limit: str) -> None:
    response = await client.post("/login", data=b"x" * 70_000, headers={"Accept-Language": language})

    assert response.status_code == 413
    assert limit in (await response.get_data(as_text=True)).replace("\u202f", " ").replace("\xa0", " ")


async def test_a_logged_in_user_keeps_the_navigation(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    logged_in = await client.post("/account", data=b"x" * 70_000)
    anonymous = await app.test_client().post("/login", data=b"x" * 70_000)

    assert 'action="/logout"' in await logged_in.get_data(as_text=True)
    assert 'action="/logout"' not in await anonymous.get_data(as_text=True)


async def test_a_request_from_another_origin_gets_no_page_of_the_user(client: TestClientProtocol) -> None:
    await register(client)
    response = await client.post("/account", data=b"x" * 70_000, headers={"Sec-Fetch-Site": "cross-site"})

    assert response.status_code == 403
    assert 'action="/logout"' not in await response.get_data(as_text=True)
