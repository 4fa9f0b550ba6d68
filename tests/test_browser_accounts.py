"""The life of an account in a real browser: links from mails, the pages of one's account, good-bye."""

import re
import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, StorageState, ViewportSize, expect

from browsers import PASSWORD, OpenWindow, fill
from site_process import Site

pytestmark = pytest.mark.asyncio(loop_scope="module")

NEW = "another horse battery staple"


@pytest_asyncio.fixture(loop_scope="module")
async def email(page: Page) -> str:
    """Return the address of somebody who has just registered, and is logged in."""
    email = f"ada-{uuid.uuid4().hex[:8]}@example.com"
    await page.goto("/register")
    await fill(page, email=email, password=PASSWORD, password_confirm=PASSWORD)
    return email


async def open_mail(page: Page, subject: str, to: str) -> None:
    """Follow the link of the newest mail to an address."""
    await page.goto("/dev/mailbox")
    mail = page.locator("article").filter(has_text=to).filter(has=page.get_by_role("heading", name=subject, exact=True))
    await mail.first.get_by_role("link", name="Open its link").click()


async def test_a_person_forgets_the_password_and_gets_in_by_a_mail(page: Page, email: str) -> None:
    await page.get_by_role("button", name="Log out").click()
    await page.goto("/login")
    await page.get_by_role("link", name="Forgotten your password?").click()
    await fill(page, email=email)
    await expect(page.get_by_role("status")).to_contain_text("If there is an account with this address")

    await open_mail(page, "Choose a new password", email)
    await fill(page, new_password=NEW, new_password_confirm=NEW)
    await expect(page.get_by_role("status")).to_contain_text("Your password is changed")
    await fill(page, email=email, password=NEW)
    await expect(page.get_by_text("Logged in as")).to_contain_text(email)

    await page.go_back()
    await page.goto("/dev/mailbox")
    await open_mail(page, "Your password was changed", email)
    await page.get_by_role("button", name="Log everybody out").click()
    await expect(page.get_by_role("status")).to_contain_text("Every browser is logged out")


async def test_a_person_takes_another_address_and_thinks_better_of_it(page: Page, email: str) -> None:
    await page.get_by_role("link", name="Account", exact=True).click()
    await page.get_by_role("link", name="Change your address").click()
    await fill(page, email=f"new-{email}")
    await open_mail(page, "Confirm your new address", f"new-{email}")
    await page.get_by_role("button", name="Use this address").click()
    await expect(page.get_by_role("status")).to_have_text(f"Your address is now new-{email}.")

    await open_mail(page, "The address of your account was changed", email)
    await page.get_by_role("button", name="Take it back").click()
    await open_mail(page, "Choose a new password", email)
    await expect(page.locator("main")).to_contain_text(f"For the account of {email}")


async def test_a_person_sees_another_browser_and_logs_it_out(page: Page, email: str, open_window: OpenWindow) -> None:
    phone = "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0"
    elsewhere = await open_window(user_agent=phone, base_url=page.url.split("/register")[0])
    other = await elsewhere.new_page()
    await other.goto("/login")
    await fill(other, email=email, password=PASSWORD)

    await page.goto("/sessions")
    await expect(page.get_by_role("listitem").filter(has_text="Firefox on Android")).to_contain_text("127.0.0.1")
    await page.get_by_role("button", name=re.compile("^Log it out: Firefox on Android")).click()
    await expect(page.get_by_text("You are logged in nowhere else.")).to_be_visible()
    await other.goto("/")
    await expect(other.get_by_text("You are not logged in.")).to_be_visible()


async def test_a_person_says_who_they_are_and_leaves(page: Page, email: str) -> None:
    number = f"+49 30 {uuid.uuid4().int % 10**8:08}"
    await page.goto("/account")
    await fill(page, name="Ada Lovelace", phone=number)
    await expect(page.get_by_label("Phone")).to_have_value(number.replace(" ", ""))
    await page.get_by_role("link", name="What happened to your account").click()
    await expect(page.get_by_role("listitem").filter(has_text="The account was opened")).to_contain_text(
        "Chrome on Linux"
    )

    await page.goto("/account/delete")
    await fill(page, password="wrong")
    await expect(page.get_by_label("Password")).to_have_accessible_description("This is not your password.")
    await fill(page, password=PASSWORD)
    await expect(page.get_by_role("status").first).to_contain_text("Your account is deleted")
    await expect(page.get_by_text("You are not logged in.")).to_be_visible()


OF_A_PERSON = [
    "/account",
    "/account/activity",
    "/account/delete",
    "/sessions",
    "/change-email",
    "/verify",
    "/dev/mailbox",
]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def logged_in(browser: Browser, site: Site) -> AsyncIterator[StorageState]:
    """Return what the browser of somebody with a long address keeps."""
    window = await browser.new_context(base_url=site.url)
    person = await window.new_page()
    await person.goto("/register")
    await fill(person, email=f"{'ada' * 20}@{'lovelace' * 6}.example.com", password=PASSWORD, password_confirm=PASSWORD)
    yield await window.storage_state()
    await window.close()


@pytest.mark.parametrize("width", [320, 1280])
async def test_no_page_of_a_person_is_wider_than_its_window(
    open_window: OpenWindow, site: Site, logged_in: StorageState, width: int
) -> None:
    size: ViewportSize = {"width": width, "height": 700}
    window = await open_window(base_url=site.url, viewport=size, storage_state=logged_in)
    seen = await window.new_page()

    for path in (*OF_A_PERSON, "/reset", "/reset/x"):
        await seen.goto(path)
        assert await seen.evaluate("document.documentElement.scrollWidth") <= width, path
