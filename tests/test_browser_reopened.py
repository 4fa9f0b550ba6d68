"""A browser that is closed and opened again: what lasts, and what does not."""

import pytest
from playwright.async_api import expect

from browsers import PASSWORD, Profile, fill
from journeys import both_ways, post, registered
from site_process import Site

pytestmark = pytest.mark.asyncio(loop_scope="module")


@both_ways
@pytest.mark.parametrize(("ticked", "shown"), [(True, "#name"), (False, "#email")], ids=["remembered", "not"])
async def test_only_a_remembered_log_in_outlives_the_browser(
    site: Site, profile: Profile, *, ticked: bool, shown: str, scripted: bool
) -> None:
    how = {"base_url": site.url, "java_script_enabled": scripted}
    async with profile.opened(**how) as page:
        email = await registered(page.context)
        await post(page.context, "/logout")
        await page.goto("/login")
        await page.set_checked("#remember", checked=ticked)
        await fill(page, email=email, password=PASSWORD)
        await expect(page.locator("form[action='/logout']")).to_be_visible()

    async with profile.opened(**how) as page:
        await page.goto("/account")
        await expect(page.locator(shown)).to_be_visible()
