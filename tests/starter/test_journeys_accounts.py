"""The life of an account: links from mails, the pages of the account, its deletion."""

import re
import uuid

import pytest
from playwright.async_api import Page, expect

from support.browsers import PASSWORD, fill
from support.journeys import log_in, log_out

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]

NEW = "another horse battery staple"


async def open_mail(page: Page, subject: str, to: str) -> None:
    """Follow the link of the newest mail to an e-mail address."""
    await page.goto("/dev/mailbox")
    mail = page.locator("article").filter(has_text=to).filter(has=page.get_by_role("heading", name=subject, exact=True))
    await mail.first.get_by_role("link", name="Open the link").click()


async def test_a_user_forgets_the_password_and_gets_in_by_a_mail(page: Page, ada: str) -> None:
    await page.goto("/")
    await log_out(page)
    await page.goto("/login")
    await page.get_by_role("link", name="Forgot your password?").click()
    await fill(page, email=ada)
    await expect(page.get_by_role("status")).to_contain_text("If an account exists for this address")

    await open_mail(page, "Reset your password", ada)
    await fill(page, new_password=NEW, new_password_confirm=NEW)
    await expect(page.get_by_role("status")).to_contain_text("Your password was changed")
    await log_in(page, ada, NEW)

    await open_mail(page, "Your password was changed", ada)
    await page.get_by_role("button", name="Secure my account").click()
    await expect(page.get_by_role("status")).to_contain_text("All sessions were ended")


async def test_a_user_changes_the_e_mail_address_and_undoes_it(page: Page, ada: str) -> None:
    await page.goto("/account")
    await page.get_by_role("link", name="Change e-mail").click()
    await fill(page, email=f"new-{ada}")
    await open_mail(page, "Confirm your new e-mail address", f"new-{ada}")
    await page.get_by_role("button", name="Confirm e-mail address").click()
    await expect(page.get_by_role("status")).to_have_text(f"Your e-mail address is now new-{ada}.")

    await open_mail(page, "Your e-mail address was changed", ada)
    await page.get_by_role("button", name="Recover account").click()
    await open_mail(page, "Reset your password", ada)
    await expect(page.locator("main")).to_contain_text(f"For the account of {ada}")


async def test_a_user_adds_a_name_and_a_phone_number_and_deletes_the_account(page: Page, ada: str) -> None:
    phone = f"+49 30 {uuid.uuid4().int % 10**8:08}"
    await page.goto("/account")
    await fill(page, name="Ada Lovelace", phone=phone)
    await expect(page.get_by_label("Phone")).to_have_value(phone.replace(" ", ""))
    await page.get_by_role("link", name="Security activity").click()
    await expect(page.get_by_role("listitem").filter(has_text=re.compile("Account created"))).to_be_visible()

    await page.goto("/account/delete")
    await fill(page, password="wrong")
    await expect(page.get_by_label("Password")).to_have_accessible_description("The password is wrong.")
    await fill(page, password=PASSWORD)
    await expect(page.get_by_role("status").first).to_contain_text("Your account was deleted")
    await expect(page.get_by_text("You are not logged in.")).to_be_visible()


async def test_the_button_of_the_front_page_responds_in_the_page(page: Page, request: pytest.FixtureRequest) -> None:
    await page.goto("/")

    await page.get_by_role("button", name="Click Me").click()

    is_scripted = "with JavaScript" in request.node.name
    await expect(page.locator("#home-page-answer")).to_have_text(re.compile("Hello!") if is_scripted else "")
