"""The Back button of a shared computer: after logging out it shows nothing of the person, nor to the next one."""

import shutil
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect
from quart import Quart
from quart.typing import TestClientProtocol

from browsers import FLAGS, PASSWORD, fill
from people import create_user, log_in
from site_process import Site

# As people have it: Chromium keeps whole pages in memory, also those that are no-store. Playwright switches it off.
KEEPS_PAGES = "--enable-features=BackForwardCache,CacheControlNoStoreEnterBackForwardCache"
RESTORED = "addEventListener('pageshow', event => { window.wasKept = event.persisted })"


@pytest_asyncio.fixture(loop_scope="module")
async def keeping_page(site: Site) -> AsyncIterator[Page]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on this machine: apt-get install chromium fonts-dejavu-core")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium,
            args=[*FLAGS, KEEPS_PAGES],
            ignore_default_args=["--disable-back-forward-cache"],
        )
        page = await browser.new_page(base_url=site.url)
        await page.add_init_script(RESTORED)
        yield page
        await browser.close()


async def register(page: Page, email: str) -> None:
    await page.goto("/register")
    await fill(page, email=email, password=PASSWORD, password_confirm=PASSWORD)
    await expect(page.get_by_text("Logged in as")).to_be_visible()


async def log_out(page: Page) -> None:
    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_text("You are not logged in.")).to_be_visible()


@pytest.mark.asyncio(loop_scope="module")
async def test_after_logging_out_the_back_button_leads_to_the_log_in(keeping_page: Page) -> None:
    page = keeping_page
    await register(page, "back@example.com")
    await page.goto("/account/activity")
    await page.goto("/account")
    await page.go_back(wait_until="commit")
    assert await page.evaluate("window.wasKept")  # so there is something that could be shown

    await log_out(page)

    await page.go_back(wait_until="commit")
    await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    await page.go_back(wait_until="commit")
    await expect(page.get_by_text("You are not logged in.")).to_be_visible()


async def test_who_leaves_has_the_browser_drop_what_it_keeps(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)
    for path in ("/logout", "/account/delete"):
        await log_in(client)
        answer = await client.post(path, form={"password": PASSWORD})
        assert (answer.location, answer.headers.get("Clear-Site-Data")) == ("/", '"cache"')


@pytest.mark.asyncio(loop_scope="module")
async def test_what_somebody_had_typed_does_not_come_back_for_the_next_person(browser: Browser, site: Site) -> None:
    page = await browser.new_page(base_url=site.url)
    await register(page, "bob-after@example.com")
    await log_out(page)
    await register(page, "ada-before@example.com")
    await page.goto("/account")
    await page.fill("#name", "Ada's secret")
    await page.goto("/about")
    await page.go_back()
    await expect(page.get_by_label("Name")).to_have_value("Ada's secret")  # to herself it does

    await log_out(page)
    await page.goto("/login")
    await fill(page, email="bob-after@example.com", password=PASSWORD)
    await expect(page.get_by_text("Logged in as")).to_be_visible()
    for _ in range(2):
        await page.go_back()
        await expect(page.get_by_text("Logged in as")).to_be_visible()
    await page.go_back()

    await expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    await expect(page.get_by_label("Name")).to_have_value("")
    await page.context.close()
