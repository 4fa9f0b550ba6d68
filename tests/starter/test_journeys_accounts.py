"""Every flow of an account from the first page to the last, with the mistakes that users make on the way."""

import re

import pytest
from playwright.async_api import Page, expect

from support.app import MAILBOX
from support.browsers import PASSWORD, OpenPage, fill
from support.journeys import LOG_IN, both_ways, log_in, log_out, mailed_link, new_email, post
from support.served_sites import ServedSite

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]

NEW = "another horse battery staple"
WEB_MAIL = "http://mail.example/"


async def expect_error(page: Page, label: str, message: str) -> None:
    """Check that a message is tied to its field, and that no password comes back."""
    await expect(page.get_by_label(label, exact=True)).to_have_accessible_description(re.compile(re.escape(message)))
    for password in await page.locator("input[type=password]").all():
        await expect(password).to_have_value("")


async def open_mail(page: Page, subject: str, to: str) -> None:
    """Follow the link of the newest e-mail with this subject to an e-mail address."""
    await page.goto(MAILBOX)
    mail = page.locator("article").filter(has_text=to).filter(has=page.get_by_role("heading", name=subject, exact=True))
    await mail.first.get_by_role("link", name="Open the link").click()


async def open_from_web_mail(page: Page, url: str) -> Page:
    """Click a link on a page of another site, and return the tab in which it opens."""
    inbox = await page.context.new_page()
    mail = f'<a href="{url}" target="_blank" rel="noopener noreferrer">Open</a>'
    await inbox.route(WEB_MAIL, lambda route: route.fulfill(body=mail, content_type="text/html"))
    await inbox.goto(WEB_MAIL)
    async with page.context.expect_page() as opened:
        await inbox.click("a")
    return await opened.value


async def test_a_mistake_in_the_registration_is_shown_beside_its_field_and_can_be_corrected(page: Page) -> None:
    email = new_email()
    await page.goto("/register")

    for password, again, label, message in [
        ("password1", "password1", "Password", "This is one of the most common passwords."),
        (PASSWORD, "slip", "Password again", "The two passwords do not match."),
    ]:
        await fill(page, email=email, password=password, password_confirm=again)
        await expect_error(page, label, message)
        await expect(page.get_by_label("E-mail address")).to_have_value(email)

    await fill(page, password=PASSWORD, password_confirm=PASSWORD)
    await expect(page.get_by_role("status").first).to_have_text("Welcome! Your account was created.")


async def test_the_form_for_a_taken_e_mail_address_leads_to_the_login_and_on_to_the_page(page: Page, ada: str) -> None:
    await post(page.context, "/logout")
    await page.goto("/register?next=/sessions")

    await fill(page, email=ada.upper(), password="another horse", password_confirm="another horse")
    await expect_error(page, "E-mail address", "An account with this e-mail address already exists.")
    await page.get_by_role("main").get_by_role("link", name="Log in").click()
    await fill(page, email=ada, password=PASSWORD)

    await expect(page.get_by_role("heading", name="Active sessions")).to_be_visible()


async def test_a_user_forgets_the_password_and_secures_the_account(page: Page, ada: str) -> None:
    await page.goto("/")
    await log_out(page)
    await page.goto("/login")
    await page.get_by_role("link", name="Forgot your password?").click()
    await fill(page, email=ada)
    await expect(page.get_by_role("status")).to_contain_text("If there is an account for this e-mail address")

    await open_mail(page, "Reset your password", ada)
    await fill(page, new_password=NEW, new_password_confirm=NEW)
    await expect(page.get_by_role("status")).to_contain_text("Your password was changed")
    await log_in(page, ada, NEW)

    await open_mail(page, "Your password was changed", ada)
    await page.get_by_role("button", name="Secure my account").click()
    await expect(page.get_by_role("status")).to_contain_text("All sessions were ended")


async def test_a_user_changes_the_e_mail_address_in_web_mail_and_undoes_it(
    page: Page, ada: str, served_site: ServedSite
) -> None:
    await page.goto("/account")
    await page.get_by_role("link", name="Change e-mail address").click()
    await fill(page, email=f"new-{ada}")
    tab = await open_from_web_mail(page, served_site.url + await mailed_link(page.context, "change-email"))
    await tab.get_by_role("button", name="Confirm e-mail address").click()
    await expect(tab.get_by_role("status")).to_have_text(f"Your e-mail address is now new-{ada}.")

    await open_mail(page, "Your e-mail address was changed", ada)
    await page.get_by_role("button", name="Recover account").click()
    await open_mail(page, "Reset your password", ada)
    await expect(page.locator("main")).to_contain_text(f"For the account of {ada}")


async def test_a_user_adds_a_name_and_deletes_the_account(page: Page, ada: str) -> None:
    await page.goto("/register?next=/account")  # a user who is logged in needs no form for that
    await fill(page, name="Ada Lovelace")
    await expect(page.get_by_label("Name")).to_have_value("Ada Lovelace")
    await page.get_by_role("link", name="Security activity").click()
    await expect(page.get_by_role("listitem").filter(has_text="Account created")).to_be_visible()

    await page.goto("/account/delete")
    await fill(page, password="wrong")
    await expect_error(page, "Password", "The password is wrong.")
    await fill(page, password=PASSWORD)
    await expect(page.get_by_role("status").first).to_contain_text("Your account was deleted")
    await expect(page.locator(LOG_IN)).to_be_visible()


@both_ways
async def test_a_user_confirms_in_this_browser_or_chooses_the_password_in_another(
    open_page: OpenPage, sites: dict[str, ServedSite], subtests: pytest.Subtests, *, scripted: bool
) -> None:
    site = sites["confirming"]
    here, there = [await open_page(base_url=site.url, java_script_enabled=scripted) for _ in range(2)]
    for browser, password in ((here, PASSWORD), (there, NEW)):
        with subtests.test(password=password):
            email = new_email()
            await here.goto("/register")
            await fill(here, email=email, password=PASSWORD, password_confirm=PASSWORD)
            await expect(here.get_by_role("status").first).to_contain_text(f"we have sent a link to {email}")

            tab = await open_from_web_mail(browser, site.url + await mailed_link(browser.context, "confirm"))
            await fill(tab, **({} if browser is here else {"new_password": NEW, "new_password_confirm": NEW}))
            await log_in(tab, email, password)
            await post(browser.context, "/logout")
