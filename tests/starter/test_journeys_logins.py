"""Registering and logging in, with the mistakes that happen on the way."""

import re

import pytest
from playwright.async_api import Page, expect

from support.browsers import PASSWORD, fill
from support.journeys import OpenBrowser, log_in, log_out, new_email, registered

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]


async def expect_error(page: Page, label: str, message: str) -> None:
    """See a message beside a field that has the focus, and no password."""
    field = page.get_by_label(label, exact=True)
    await expect(field).to_have_accessible_description(re.compile(re.escape(message)))
    await expect(field).to_be_focused()
    await expect(page).to_have_title(re.compile("^Error: "))
    for password in await page.locator("input[type=password]").all():
        await expect(password).to_have_value("")


async def test_a_mistake_in_the_registration_is_shown_beside_its_field_and_can_be_mended(page: Page) -> None:
    email = new_email()
    await page.goto("/register")

    for password, again, label, message in [
        ("short", "short", "Password", "Use at least 8 characters."),
        ("password1", "password1", "Password", "This is one of the most common passwords."),
        (email, email, "Password", "Do not use your e-mail address or a part of it."),
        (PASSWORD, "slip", "Password again", "The two passwords do not match."),
    ]:
        await fill(page, email=email, password=password, password_confirm=again)
        await expect_error(page, label, message)
        await expect(page.get_by_label("E-mail address")).to_have_value(email)

    await fill(page, password=PASSWORD, password_confirm=PASSWORD)
    await expect(page.get_by_role("status").first).to_have_text("Welcome! Your account was created.")


async def test_the_browser_itself_sends_no_form_with_an_empty_field(page: Page) -> None:
    for path, names, empty in [
        ("/register", ("email", "password", "password_confirm"), "email"),
        ("/register", ("email", "password", "password_confirm"), "password_confirm"),
        ("/login", ("email", "password"), "password"),
    ]:
        typed = {name: new_email() for name in names} | {empty: ""}
        await page.goto(path)
        await fill(page, **typed)

        await expect(page.locator(f"#{empty}")).to_be_focused()
        assert await page.locator("main input:invalid").count() == 1
        await expect(page.locator("#email")).to_have_value(typed["email"])


async def test_the_form_for_a_taken_e_mail_address_leads_to_the_login_and_on_to_the_page(
    page: Page, another_browser: OpenBrowser
) -> None:
    email = await registered((await another_browser()).context)
    await page.goto("/register?next=/sessions")

    await fill(page, email=email.upper(), password="another horse", password_confirm="another horse")
    await expect_error(page, "E-mail address", "An account with this e-mail address already exists.")
    await page.get_by_role("main").get_by_role("link", name="Log in").click()
    await fill(page, email=email, password="slip of the finger")
    await expect_error(page, "Password", "The e-mail address or the password is wrong.")
    await expect(page.get_by_label("E-mail address")).to_have_value(email)
    await fill(page, password=PASSWORD)

    await expect(page.get_by_role("heading", name="Active sessions")).to_be_visible()


async def test_a_user_who_is_logged_in_sees_no_form_to_log_in_or_register(page: Page, ada: str) -> None:
    for path in ("/login?next=/account", "/register?next=/account"):
        await page.goto(path)
        await expect(page.get_by_role("heading", name="Your account")).to_be_visible()

    await log_out(page)
    await page.goto("/account/activity?from=a%20mail")
    await log_in(page, f" {ada.upper()} ")
    await expect(page).to_have_url(re.compile(r"/account/activity\?from=a%20mail$"))
