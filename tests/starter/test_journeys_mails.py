"""A link in a mail: opened in this browser or another, twice, or by a scanner before its reader has seen it."""

import httpx
import pytest
from playwright.async_api import Page, expect

from support.actions import PASSWORD
from support.browsers import OpenPage, fill
from support.journeys import OpenBrowser, both_ways, execute, expect_login_page, log_in, mailed_link, new_email, post
from support.served_sites import ServedSite

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]

NEW = "another horse battery staple"
CHOSEN = {"new_password": NEW, "new_password_confirm": NEW}
WEB_MAIL = "http://mail.example/"


async def open_from_web_mail(page: Page, site: ServedSite, link: str) -> Page:
    """Click a link on a page of another site, which opens it in a tab of its own; return that."""
    inbox = await page.context.new_page()
    mail = f'<a href="{site.url}{link}" target="_blank" rel="noopener noreferrer">Open</a>'
    await inbox.route(WEB_MAIL, lambda route: route.fulfill(body=mail, content_type="text/html"))
    await inbox.goto(WEB_MAIL)
    async with page.context.expect_page() as opened:
        await inbox.click("a")
    return await opened.value


async def scan(site: ServedSite, link: str) -> None:
    """Open a link as mail scanners do before they deliver the mail, and press nothing."""
    async with httpx.AsyncClient(base_url=site.url, follow_redirects=True) as scanner:
        for method in ("HEAD", "GET") * 2:
            await scanner.request(method, link)


async def is_void(page: Page) -> None:
    await expect(page.get_by_role("heading", name="This link does not work")).to_be_visible()


async def test_a_link_to_a_new_password_works_once_and_in_any_browser(
    page: Page, ada: str, served_site: ServedSite, another_browser: OpenBrowser
) -> None:
    await page.goto("/")
    await post(page.context, "/reset", email=ada)
    link = await mailed_link(page.context, "reset")
    await scan(served_site, link)
    elsewhere = await another_browser()
    await page.goto(link)
    await elsewhere.goto(link)

    await fill(elsewhere, **CHOSEN)
    await expect(elsewhere.get_by_role("status")).to_contain_text("Your password was changed")
    await log_in(elsewhere, ada, NEW)

    await fill(page, new_password="a third horse", new_password_confirm="a third horse")
    await is_void(page)
    await elsewhere.goto(link)
    await is_void(elsewhere)
    await page.goto("/account")
    await expect_login_page(page)  # the sessions of the old password have ended
    await log_in(page, ada, NEW)


async def test_a_link_to_a_new_e_mail_address_needs_a_session_and_works_once(
    page: Page, ada: str, served_site: ServedSite, another_browser: OpenBrowser
) -> None:
    await post(page.context, "/change-email", email=f"new-{ada}")
    link = await mailed_link(page.context, "change-email")
    await scan(served_site, link)
    elsewhere = await another_browser()

    await elsewhere.goto(link)
    await expect_login_page(elsewhere)
    await log_in(elsewhere, ada)
    await elsewhere.get_by_role("button", name="Confirm e-mail address").click()
    await expect(elsewhere.get_by_role("status")).to_have_text(f"Your e-mail address is now new-{ada}.")

    await page.goto(link)
    await is_void(page)
    await page.goto("/account")
    await expect(page.locator("main")).to_contain_text(f"new-{ada}")


async def test_a_link_in_web_mail_opens_in_the_session_of_the_user(
    page: Page, ada: str, served_site: ServedSite
) -> None:
    await page.goto("/")
    await post(page.context, "/change-email", email=f"new-{ada}")

    tab = await open_from_web_mail(page, served_site, await mailed_link(page.context, "change-email"))

    await tab.get_by_role("button", name="Confirm e-mail address").click()
    await expect(tab.get_by_role("status")).to_have_text(f"Your e-mail address is now new-{ada}.")


async def signed_up(page: Page, site: ServedSite) -> tuple[str, str]:
    """Register, and return the e-mail address with the mailed link, which a scanner has opened."""
    email = new_email()
    await page.goto("/register")
    await fill(page, email=email, password=PASSWORD, password_confirm=PASSWORD)
    await expect(page.get_by_role("status").first).to_contain_text(f"we have sent a link to {email}")
    link = await mailed_link(page.context, "confirm")
    await scan(site, link)
    assert await execute(site, "SELECT confirmed_on FROM user WHERE email = :email", email=email) == [(None,)]
    return email, link


@both_ways
async def test_a_user_who_confirms_in_the_browser_of_the_registration_presses_one_button(
    open_page: OpenPage, sites: dict[str, ServedSite], *, scripted: bool
) -> None:
    site = sites["confirming"]
    page = await open_page(base_url=site.url, java_script_enabled=scripted)
    email, link = await signed_up(page, site)

    tab = await open_from_web_mail(page, site, link)
    await tab.get_by_role("button", name="Confirm").click()
    await log_in(tab, email)

    await page.goto(link)
    await is_void(page)


@both_ways
async def test_a_user_who_confirms_in_another_browser_chooses_the_password_there(
    open_page: OpenPage, sites: dict[str, ServedSite], *, scripted: bool
) -> None:
    site = sites["confirming"]
    here, there = [await open_page(base_url=site.url, java_script_enabled=scripted) for _ in range(2)]
    email, link = await signed_up(here, site)

    await there.goto(link)
    await fill(there, **CHOSEN)
    await log_in(there, email, NEW)

    await fill(here, email=email, password=PASSWORD)
    await expect(here.get_by_label("Password")).to_have_accessible_description(
        "The e-mail address or the password is wrong."
    )
