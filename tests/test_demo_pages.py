"""The demo: its front page, its button and the about page. Delete this file with them."""

import pytest
from playwright.async_api import expect
from quart import Quart
from quart.typing import TestClientProtocol

from app.default_config import SITE_NAME
from support.actions import EMAIL, create_user, enter, page
from support.browsers import OpenPage
from support.statements import kind, sent_statements


async def test_the_demo_has_the_names_of_the_original(app: Quart, client: TestClientProtocol) -> None:
    text = await page(client)

    assert 'id="home-page-cta"' in text
    assert "js/home.js" in text
    assert (await client.get("/static/js/home.js")).status_code == 200
    assert f"{SITE_NAME} is a website" in await page(client, "/about")
    assert app.jinja_env.get_template("about.html")


async def test_the_front_page_shows_whether_the_user_is_logged_in(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app, name="Ada Lovelace")
    text = await page(await enter(app))

    assert 'href="/change"' in text
    assert f"Logged in as <strong>Ada Lovelace &lt;{EMAIL}&gt;</strong>" in text
    assert "You are not logged in." in await page(client)


async def test_the_front_page_sends_one_query_for_the_user_and_none_without_a_cookie(
    app: Quart, client: TestClientProtocol
) -> None:
    await app.extensions["mail_worker"].stop()
    await create_user(app)
    ada = await enter(app)

    with sent_statements(app) as sent:
        await client.get("/")
        assert sent == []
        await ada.get("/")
        assert [kind(each) for each in sent] == ["SELECT user_session"]


@pytest.mark.asyncio(loop_scope="session")
async def test_the_button_of_the_front_page_responds_in_the_page(open_page: OpenPage) -> None:
    page = await open_page()
    await page.goto("/")

    await page.get_by_role("button", name="Click Me").click()

    await expect(page.locator("#home-page-answer")).to_have_text("Hello! home.js was loaded.")
