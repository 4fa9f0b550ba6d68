"""Two tabs, two browsers, two users: a page that was open when something changed elsewhere."""

from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import Page, expect

from support.browsers import PASSWORD, fill
from support.journeys import OpenBrowser, execute, expect_login_page, expire_sessions, log_in, log_out, registered
from support.served_sites import ServedSite

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]

NEW = "another horse battery staple"
CHOSEN = {"new_password": NEW, "new_password_confirm": NEW}
ENDED = "Your session has expired. Log in again."
STILL_THERE = "Your session has expired. Log in again to continue. Your input was kept."
FOR_ANOTHER_USER = "This page belonged to another user"
End = Callable[[Page, str, ServedSite, OpenBrowser], Awaitable[None]]


async def expires(page: Page, email: str, site: ServedSite, another_browser: OpenBrowser) -> None:
    await expire_sessions(site, email)


async def is_ended_in_another_tab(page: Page, email: str, site: ServedSite, another_browser: OpenBrowser) -> None:
    tab = await page.context.new_page()
    await tab.goto("/")
    await log_out(tab)
    await tab.close()


async def is_ended_in_another_browser(page: Page, email: str, site: ServedSite, another_browser: OpenBrowser) -> None:
    elsewhere = await another_browser()
    await log_in(elsewhere, email)
    await elsewhere.goto("/sessions")
    await elsewhere.get_by_role("button", name="End all other sessions").click()
    await expect(elsewhere.get_by_text("There are no other sessions.")).to_be_visible()


@pytest.mark.parametrize("end", [expires, is_ended_in_another_tab, is_ended_in_another_browser])
async def test_typed_text_is_still_there_when_the_session_has_ended(
    page: Page, ada: str, served_site: ServedSite, another_browser: OpenBrowser, end: End
) -> None:
    await page.goto("/account")
    await end(page, ada, served_site, another_browser)

    await fill(page, name="Ada Lovelace", phone="+49 30 1234567")
    await expect_login_page(page)
    await expect(page.get_by_role("status")).to_have_text(STILL_THERE)
    await log_in(page, ada)

    await expect(page.get_by_label("Name")).to_have_value("Ada Lovelace")
    await expect(page.get_by_label("Phone")).to_have_value("+49 30 1234567")
    assert await execute(served_site, "SELECT name FROM user WHERE email = :email", email=ada) == [(None,)]
    await fill(page, phone="")
    await expect(page.get_by_role("status")).to_have_text("Saved.")


async def test_a_new_e_mail_address_that_was_typed_is_still_there(
    page: Page, ada: str, served_site: ServedSite
) -> None:
    await page.goto("/change-email")
    await expire_sessions(served_site, ada)

    await fill(page, email=f"new-{ada}")
    await log_in(page, ada)

    await expect(page.get_by_label("E-mail address")).to_have_value(f"new-{ada}")
    await fill(page)
    await expect(page.get_by_role("status")).to_contain_text(f"we have sent a link to new-{ada}.")


async def test_a_password_that_was_typed_is_not_kept(page: Page, ada: str, served_site: ServedSite) -> None:
    await page.goto("/change")
    await expire_sessions(served_site, ada)

    await fill(page, password=PASSWORD, **CHOSEN)
    await expect(page.get_by_role("status")).to_have_text(ENDED)
    await log_in(page, ada)

    await expect(page.get_by_role("heading", name="Change password")).to_be_visible()
    for field in await page.locator("main input[type=password]").all():
        await expect(field).to_have_value("")


async def test_a_changed_password_ends_the_other_browser_and_no_tab_of_this_one(
    page: Page, ada: str, another_browser: OpenBrowser
) -> None:
    tab, elsewhere = await page.context.new_page(), await another_browser()
    await log_in(elsewhere, ada)
    for open_page in (tab, elsewhere):
        await open_page.goto("/account")

    await page.goto("/change")
    await fill(page, password=PASSWORD, **CHOSEN)
    await expect(page.get_by_role("status").first).to_contain_text("Your password was changed")

    await fill(tab, name="Ada here")
    await expect(tab.get_by_role("status")).to_have_text("Saved.")
    await fill(elsewhere, name="Ada elsewhere")
    await expect(elsewhere.get_by_role("status")).to_have_text(STILL_THERE)
    await log_in(elsewhere, ada, NEW)
    await expect(elsewhere.get_by_label("Name")).to_have_value("Ada elsewhere")


async def bob_in_another_tab(page: Page) -> str:
    """Log out in another tab, and register another user there."""
    tab = await page.context.new_page()
    await tab.goto("/")
    await log_out(tab)
    bob = await registered(page.context)
    await tab.close()
    return bob


async def test_a_page_that_one_user_left_open_changes_nothing_of_the_next_user(
    page: Page, ada: str, served_site: ServedSite
) -> None:
    email_tab = await page.context.new_page()
    await page.goto("/account")
    await email_tab.goto("/change-email")
    bob = await bob_in_another_tab(page)

    await fill(page, name="Ada's secret", phone="+49 30 7654321")
    await fill(email_tab, email=f"new-{ada}")

    await expect(page.get_by_role("status")).to_contain_text(FOR_ANOTHER_USER)
    await expect(page.locator("main")).to_contain_text(bob)
    await expect(page.get_by_label("Name")).to_have_value("")
    names = "SELECT DISTINCT name, phone FROM user WHERE email IN (:ada, :bob)"
    assert await execute(served_site, names, ada=ada, bob=bob) == [(None, None)]
    await expect(email_tab.get_by_role("status")).to_contain_text(FOR_ANOTHER_USER)
    assert await execute(served_site, "SELECT id FROM mail WHERE recipient = :to", to=f"new-{ada}") == []


async def test_a_password_of_one_user_does_nothing_to_the_next_user_who_has_the_same(
    page: Page, ada: str, served_site: ServedSite
) -> None:
    deletion_tab = await page.context.new_page()
    await page.goto("/change")
    await deletion_tab.goto("/account/delete")
    bob = await bob_in_another_tab(page)
    hash_of = "SELECT password FROM user WHERE email = :email"
    before = await execute(served_site, hash_of, email=bob)

    for tab, typed in ((page, CHOSEN), (deletion_tab, {})):
        async with tab.expect_navigation():
            await fill(tab, password=PASSWORD, **typed)

    assert await execute(served_site, hash_of, email=bob) == before
