"""A browser that is closed and opened again: what lasts, and what does not."""

import pytest
from playwright.async_api import expect

from browsers import PASSWORD, Profile, fill
from site_process import Site

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(("ticked", "shown"), [(True, "#name"), (False, "#email")], ids=["remembered", "not"])
async def test_only_a_remembered_log_in_outlives_the_browser(
    site: Site, profile: Profile, *, ticked: bool, shown: str
) -> None:
    email = f"ada-{ticked}@example.com"
    async with profile.opened(base_url=site.url) as page:
        await page.goto("/register")
        await fill(page, email=email, password=PASSWORD, password_confirm=PASSWORD)
        await page.context.clear_cookies()
        await page.goto("/login")
        await page.set_checked("#remember", checked=ticked)
        await fill(page, email=email, password=PASSWORD)
        await expect(page.locator("form[action='/logout']")).to_be_visible()

    async with profile.opened(base_url=site.url) as page:
        await page.goto("/account")
        await expect(page.locator(shown)).to_be_visible()
