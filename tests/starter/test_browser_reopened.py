"""A browser that is closed and opened again: what lasts, and what does not."""

import pytest
from playwright.async_api import Page, expect

from support.browsers import PASSWORD, Profile, fill
from support.journeys import both_ways, post, registered
from support.served_sites import ServedSite

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]


async def log_in(page: Page, email: str, *, remember: bool) -> None:
    await page.goto("/login")
    await page.set_checked("#remember", checked=remember)
    await fill(page, email=email, password=PASSWORD)
    await expect(page.locator("form[action='/logout']")).to_be_visible()


@both_ways
async def test_only_a_remembered_session_outlives_the_browser(
    served_site: ServedSite, profile: Profile, *, scripted: bool
) -> None:
    options = {"base_url": served_site.url, "java_script_enabled": scripted}
    async with profile.opened(**options) as page:
        email = await registered(page.context)
        await post(page.context, "/logout")
        await log_in(page, email, remember=False)

    async with profile.opened(**options) as page:
        await page.goto("/account")
        await expect(page.locator("#email")).to_be_visible()
        await log_in(page, email, remember=True)

    async with profile.opened(**options) as page:
        await page.goto("/account")
        await expect(page.locator("#name")).to_be_visible()
