"""A button that is pressed twice, and a site that was away when it was pressed."""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, Request, expect

from browsers import PASSWORD, fill
from conftest import ROOT
from evidence import recorded
from journeys import both_ways, execute, somebody
from mariadb_server import free_port
from site_process import Site, running_at

pytestmark = pytest.mark.asyncio(loop_scope="module")


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
async def test_who_registers_twice_in_one_go_has_one_account_and_is_in(
    page: Page, request: pytest.FixtureRequest, site: Site, press: Callable[[Page], Awaitable[None]]
) -> None:
    email, sent = somebody(), list[Request]()
    page.on("request", lambda seen: sent.append(seen) if is_registration(seen) else None)
    await page.goto("/register")
    await type_in(page, email=email, password=PASSWORD, password_confirm=PASSWORD)

    await press(page)

    await expect(page.get_by_text("Logged in as")).to_contain_text(email)
    assert execute(site, "SELECT count(*) FROM user WHERE email = :email", email=email) == [(1,)]
    if "with JavaScript" in request.node.name:
        assert len(sent) == 1
    await page.goto("/account")
    await expect(page.locator("main")).to_contain_text(email)


def is_registration(seen: Request) -> bool:
    return seen.method == "POST" and seen.url.endswith("/register")


@both_ways
@pytest.mark.parametrize("again", ["back", "reload"])
async def test_what_was_sent_while_the_site_was_away_is_sent_again(
    request: pytest.FixtureRequest, keeping_browser: Browser, tmp_path: Path, again: str, *, scripted: bool
) -> None:
    email, port = somebody(), free_port()
    typed = {"email": email, "password": PASSWORD, "password_confirm": PASSWORD}
    window = await keeping_browser.new_context(java_script_enabled=scripted)
    async with recorded(window, request.node):
        page = await window.new_page()
        with running_at(port, ROOT, tmp_path) as site:
            await page.goto(f"{site.url}/register?next=/account")
        await type_in(page, **typed)
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(re.compile("^chrome-error:"))

        with running_at(port, ROOT, tmp_path):
            if again == "reload":
                await page.reload()
            else:
                await page.go_back(wait_until="commit")
                await fill(page, **typed)
            await expect(page.locator("main")).to_contain_text(email)
