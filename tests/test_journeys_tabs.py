"""Two tabs, two browsers, two people: what becomes of a page that was open when something changed elsewhere."""

from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import Page, expect

from browsers import PASSWORD, fill
from journeys import OpenBrowser, asks_to_log_in, execute, expire_log_ins, log_in, log_out, registered
from site_process import Site

pytestmark = pytest.mark.asyncio(loop_scope="module")

NEW = "another horse battery staple"
ENDED = "Your log-in has ended. Log in again."
STILL_THERE = "Your log-in has ended. Log in again, and what you typed is still there."
End = Callable[[Page, str, Site, OpenBrowser], Awaitable[None]]


async def expires(page: Page, email: str, site: Site, another_browser: OpenBrowser) -> None:
    expire_log_ins(site, email)


async def is_ended_in_another_tab(page: Page, email: str, site: Site, another_browser: OpenBrowser) -> None:
    tab = await page.context.new_page()
    await tab.goto("/")
    await log_out(tab)
    await tab.close()


async def is_ended_in_another_browser(page: Page, email: str, site: Site, another_browser: OpenBrowser) -> None:
    elsewhere = await another_browser()
    await log_in(elsewhere, email)
    await elsewhere.goto("/sessions")
    await elsewhere.get_by_role("button", name="Log out all other browsers").click()
    await expect(elsewhere.get_by_text("You are logged in nowhere else.")).to_be_visible()


@pytest.mark.parametrize("end", [expires, is_ended_in_another_tab, is_ended_in_another_browser])
async def test_what_was_typed_is_still_there_when_the_log_in_has_ended(
    page: Page, ada: str, site: Site, another_browser: OpenBrowser, end: End
) -> None:
    await page.goto("/account")
    await end(page, ada, site, another_browser)

    await fill(page, name="Ada Lovelace", phone="+49 30 1234567")
    await asks_to_log_in(page)
    await expect(page.get_by_role("status")).to_have_text(STILL_THERE)
    await log_in(page, ada)

    await expect(page.get_by_label("Name")).to_have_value("Ada Lovelace")
    await expect(page.get_by_label("Phone")).to_have_value("+49 30 1234567")
    assert execute(site, "SELECT name FROM user WHERE email = :email", email=ada) == [(None,)]  # nothing by itself
    await fill(page, phone="")
    await expect(page.get_by_role("status")).to_have_text("Saved.")


async def test_a_new_address_that_was_typed_is_still_there(page: Page, ada: str, site: Site) -> None:
    await page.goto("/change-email")
    expire_log_ins(site, ada)

    await fill(page, email=f"new-{ada}")
    await log_in(page, ada)

    await expect(page.get_by_label("E-mail address")).to_have_value(f"new-{ada}")
    await fill(page)
    await expect(page.get_by_role("status")).to_contain_text(f"A mail is on its way to new-{ada}.")


async def test_a_password_that_was_typed_is_not_kept(page: Page, ada: str, site: Site) -> None:
    await page.goto("/change")
    expire_log_ins(site, ada)

    await fill(page, password=PASSWORD, new_password=NEW, new_password_confirm=NEW)
    await expect(page.get_by_role("status")).to_have_text(ENDED)
    await log_in(page, ada)

    await expect(page.get_by_role("heading", name="Change password")).to_be_visible()
    for field in await page.locator("main input[type=password]").all():
        await expect(field).to_have_value("")


async def test_a_changed_password_ends_the_other_browser_at_its_next_click_and_no_tab_of_this_one(
    page: Page, ada: str, another_browser: OpenBrowser
) -> None:
    tab, elsewhere = await page.context.new_page(), await another_browser()
    await log_in(elsewhere, ada)
    for open_page in (tab, elsewhere):
        await open_page.goto("/account")

    await page.goto("/change")
    await fill(page, password=PASSWORD, new_password=NEW, new_password_confirm=NEW)
    await expect(page.get_by_role("status").first).to_contain_text("Your password is changed.")

    await fill(tab, name="Ada here")
    await expect(tab.get_by_role("status")).to_have_text("Saved.")
    await fill(elsewhere, name="Ada elsewhere")
    await expect(elsewhere.get_by_role("status")).to_have_text(STILL_THERE)
    await log_in(elsewhere, ada, NEW)
    await expect(elsewhere.get_by_label("Name")).to_have_value("Ada elsewhere")


async def bob_in_another_tab(page: Page, password: str = PASSWORD) -> str:
    """Let another person log in where somebody has left a tab open."""
    tab = await page.context.new_page()
    await tab.goto("/")
    await log_out(tab)
    bob = await registered(page.context, password)
    await tab.close()
    return bob


async def test_a_page_that_one_person_left_open_writes_nothing_into_the_account_of_the_next(
    page: Page, ada: str, site: Site
) -> None:
    await page.goto("/account")
    bob = await bob_in_another_tab(page)

    await fill(page, name="Ada's secret", phone="+49 30 7654321")

    await expect(page.get_by_role("status")).to_contain_text("That page was for somebody else")
    await expect(page.locator("main")).to_contain_text(bob)
    await expect(page.get_by_label("Name")).to_have_value("")
    assert execute(site, "SELECT DISTINCT name, phone FROM user WHERE email IN (:ada, :bob)", ada=ada, bob=bob) == [
        (None, None)
    ]


async def test_an_address_that_one_person_typed_is_not_mailed_for_the_next(page: Page, ada: str, site: Site) -> None:
    await page.goto("/change-email")
    await bob_in_another_tab(page)

    await fill(page, email=f"new-{ada}")

    await expect(page.get_by_role("status")).to_contain_text("That page was for somebody else")
    assert execute(site, "SELECT id FROM mail WHERE recipient = :to", to=f"new-{ada}") == []


@pytest.mark.parametrize(
    ("path", "typed"),
    [("/change", {"new_password": NEW, "new_password_confirm": NEW}), ("/account/delete", {})],
    ids=["change", "delete"],
)
async def test_a_password_of_one_person_does_nothing_to_the_next_who_has_the_same(
    page: Page, ada: str, site: Site, path: str, typed: dict[str, str]
) -> None:
    hash_of = "SELECT password FROM user WHERE email = :email"
    await page.goto(path)
    bob = await bob_in_another_tab(page)
    before = execute(site, hash_of, email=bob)

    async with page.expect_navigation():
        await fill(page, password=PASSWORD, **typed)

    assert execute(site, hash_of, email=bob) == before
