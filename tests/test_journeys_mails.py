"""A link in a mail: opened in this browser or another, twice, or by a scanner before the person has seen it."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.async_api import Page, expect

from browsers import UNHURRIED, OpenWindow, fill
from journeys import OpenBrowser, asks_to_log_in, both_ways, execute, log_in, mailed_link, post, somebody
from people import PASSWORD
from site_process import Site, running_site

pytestmark = pytest.mark.asyncio(loop_scope="module")

NEW = "another horse battery staple"
CHOSEN = {"new_password": NEW, "new_password_confirm": NEW}
WEB_MAIL = "http://mail.example/"


async def open_from_web_mail(page: Page, link: str) -> Page:
    """Click a link on a page of another site, which opens it in a tab of its own; return that."""
    address = page.url.split("/", 3)
    inbox = await page.context.new_page()
    letter = f'<a href="{address[0]}//{address[2]}{link}" target="_blank" rel="noopener noreferrer">Open</a>'
    await inbox.route(WEB_MAIL, lambda route: route.fulfill(body=letter, content_type="text/html"))
    await inbox.goto(WEB_MAIL)
    async with page.context.expect_page() as opened:
        await inbox.click("a")
    return await opened.value


def scan(site: Site, link: str) -> None:
    """Look at a link as mail scanners do, before the mail is delivered: they open it, and press nothing."""
    with httpx.Client(base_url=site.url, follow_redirects=True) as scanner:
        for _ in range(2):
            scanner.head(link)
            scanner.get(link)


async def is_void(page: Page) -> None:
    await expect(page.get_by_role("heading", name="This link does not work")).to_be_visible()


async def test_a_link_to_a_new_password_works_once_and_in_any_browser(
    page: Page, ada: str, site: Site, another_browser: OpenBrowser
) -> None:
    await page.goto("/")
    await post(page.context, "/reset", email=ada)
    link = await mailed_link(page.context, "reset")
    scan(site, link)
    elsewhere = await another_browser()
    await page.goto(link)
    await elsewhere.goto(link)

    await fill(elsewhere, **CHOSEN)
    await expect(elsewhere.get_by_role("status")).to_contain_text("Your password is changed")
    await log_in(elsewhere, ada, NEW)

    await fill(page, new_password="a third horse", new_password_confirm="a third horse")
    await is_void(page)
    await elsewhere.goto(link)
    await is_void(elsewhere)
    await page.goto("/account")
    await asks_to_log_in(page)  # whoever had the old password is out
    await log_in(page, ada, NEW)


async def test_a_link_to_a_new_address_asks_who_opens_it_and_works_once(
    page: Page, ada: str, site: Site, another_browser: OpenBrowser
) -> None:
    await post(page.context, "/change-email", email=f"new-{ada}")
    link = await mailed_link(page.context, "change-email")
    scan(site, link)
    elsewhere = await another_browser()

    await elsewhere.goto(link)
    await asks_to_log_in(elsewhere)
    await log_in(elsewhere, ada)
    await elsewhere.get_by_role("button", name="Use this address").click()
    await expect(elsewhere.get_by_role("status")).to_have_text(f"Your address is now new-{ada}.")

    await page.goto(link)
    await is_void(page)
    await page.goto("/account")
    await expect(page.locator("main")).to_contain_text(f"new-{ada}")


async def test_a_link_in_web_mail_finds_who_is_logged_in(page: Page, ada: str) -> None:
    await page.goto("/")
    await post(page.context, "/change-email", email=f"new-{ada}")

    tab = await open_from_web_mail(page, await mailed_link(page.context, "change-email"))

    await tab.get_by_role("button", name="Use this address").click()
    await expect(tab.get_by_role("status")).to_have_text(f"Your address is now new-{ada}.")


@pytest.fixture(scope="module")
def confirming(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run a site that lets nobody in before they have confirmed their address."""
    with running_site(tmp_path_factory.mktemp("confirming"), QUART_SECURITY_CONFIRMABLE="true", **UNHURRIED) as site:
        yield site


async def signed_up(page: Page, site: Site) -> tuple[str, str]:
    """Sign up, and return the address with the link that was mailed to it, at which a scanner has looked."""
    email = somebody()
    await page.goto("/register")
    await fill(page, email=email, password=PASSWORD, password_confirm=PASSWORD)
    await expect(page.get_by_role("status").first).to_contain_text(f"A mail is on its way to {email}.")
    link = await mailed_link(page.context, "confirm")
    scan(site, link)
    assert execute(site, "SELECT confirmed_on FROM user WHERE email = :email", email=email) == [(None,)]
    return email, link


@both_ways
async def test_who_confirms_in_the_browser_in_which_they_registered_presses_one_button(
    open_window: OpenWindow, confirming: Site, *, scripted: bool
) -> None:
    window = await open_window(base_url=confirming.url, java_script_enabled=scripted)
    page = await window.new_page()
    email, link = await signed_up(page, confirming)

    tab = await open_from_web_mail(page, link)
    await tab.get_by_role("button", name="Confirm").click()
    await log_in(tab, email)

    await page.goto(link)
    await is_void(page)


@both_ways
async def test_who_confirms_in_another_browser_chooses_the_password_there(
    open_window: OpenWindow, confirming: Site, *, scripted: bool
) -> None:
    here, there = [
        await (await open_window(base_url=confirming.url, java_script_enabled=scripted)).new_page() for _ in range(2)
    ]
    email, link = await signed_up(here, confirming)

    await there.goto(link)
    await fill(there, **CHOSEN)
    await log_in(there, email, NEW)

    await fill(here, email=email, password=PASSWORD)
    await expect(here.get_by_label("Password")).to_have_accessible_description("The address or the password is wrong.")
