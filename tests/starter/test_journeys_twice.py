"""A button that is pressed twice, and a site that was away when it was pressed."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import Browser, Page, Request, expect

from support.browsers import PASSWORD, fill
from support.evidence import recorded
from support.journeys import execute, new_email
from support.mariadb_server import free_port
from support.served_sites import ServedSite, served

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]


async def type_in(page: Page, **typed: str) -> None:
    for name, text in typed.items():
        await page.fill(f"#{name}", text)


async def click_twice(page: Page) -> None:
    await page.get_by_role("main").get_by_role("button", name="Register").dblclick(no_wait_after=True)


async def press_enter_twice(page: Page) -> None:
    await page.focus("#password_confirm")
    for _ in range(2):
        await page.keyboard.press("Enter")


@pytest.mark.parametrize("press", [click_twice, press_enter_twice])
async def test_a_form_that_is_sent_twice_at_once_makes_one_account_and_a_session(
    page: Page, request: pytest.FixtureRequest, served_site: ServedSite, press: Callable[[Page], Awaitable[None]]
) -> None:
    email, sent = new_email(), list[Request]()

    def note(seen: Request) -> None:
        if seen.method == "POST" and seen.url.endswith("/register"):
            sent.append(seen)

    page.on("request", note)
    await page.goto("/register")
    await type_in(page, email=email, password=PASSWORD, password_confirm=PASSWORD)

    await press(page)

    await expect(page.get_by_text("Logged in as")).to_contain_text(email)
    page.remove_listener("request", note)
    assert await execute(served_site, "SELECT count(*) FROM user WHERE email = :email", email=email) == [(1,)]
    if "with JavaScript" in request.node.name:
        assert len(sent) == 1


@pytest.mark.parametrize(("again", "scripted"), [("back", True), ("back", False), ("reload", True)])
async def test_a_form_that_was_sent_while_the_site_was_away_is_sent_again(
    request: pytest.FixtureRequest, keeping_browser: Browser, settings: dict[str, Any], again: str, *, scripted: bool
) -> None:
    email, port = new_email(), free_port()
    typed = {"email": email, "password": PASSWORD, "password_confirm": PASSWORD}
    window = await keeping_browser.new_context(java_script_enabled=scripted)
    async with recorded(window, request.node):
        page = await window.new_page()
        async with served(settings, port=port) as site:
            await page.goto(f"{site.url}/register?next=/account")
        await type_in(page, **typed)
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(re.compile("^chrome-error:"))

        if again == "back":  # the browser has kept the page: it needs no site for it
            await page.go_back(wait_until="commit")
            await expect(page.locator("#email")).to_have_value(email)
            assert await page.locator("form[data-sent]").count() == 0
        async with served(settings, port=port):
            if again == "back":
                await fill(page, **typed)
            else:
                await page.reload()
            await expect(page.locator("main")).to_contain_text(email)
    await window.close()
