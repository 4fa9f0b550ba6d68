"""Getting in and out, with the slips that happen on the way."""

import re

import pytest
from playwright.async_api import Page, expect

from browsers import PASSWORD, fill
from journeys import OpenBrowser, log_in, log_out, registered, somebody

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def is_told(page: Page, label: str, message: str) -> None:
    """See a message beside a field that has the focus, an address that is still there, and no password."""
    field = page.get_by_label(label, exact=True)
    await expect(field).to_have_accessible_description(re.compile(re.escape(message)))
    await expect(field).to_be_focused()
    await expect(page).to_have_title(re.compile("^Error: "))
    for secret in await page.locator("input[type=password]").all():
        await expect(secret).to_have_value("")


async def test_who_slips_while_registering_is_told_and_gets_in(page: Page) -> None:
    email = somebody()
    await page.goto("/register")

    for password, again, label, message in [
        ("short", "short", "Password", "Use 8 characters or more."),
        ("password1", "password1", "Password", "This is one of the most common passwords."),
        (email, email, "Password", "Do not use your e-mail address or a part of it."),
        (PASSWORD, "slip", "Password again", "The two passwords differ."),
    ]:
        await fill(page, email=email, password=password, password_confirm=again)
        await is_told(page, label, message)
        await expect(page.get_by_label("E-mail address")).to_have_value(email)

    await fill(page, password=PASSWORD, password_confirm=PASSWORD)
    await expect(page.get_by_role("status").first).to_have_text("Welcome. Your account is open and you are logged in.")


@pytest.mark.parametrize(
    ("path", "field"), [("/register", "email"), ("/register", "password_confirm"), ("/login", "password")]
)
async def test_the_browser_itself_does_not_send_what_is_missing(page: Page, path: str, field: str) -> None:
    await page.goto(path)
    names = ["email", "password", *(["password_confirm"] if path == "/register" else [])]
    typed = {name: somebody() for name in names} | {field: ""}

    await fill(page, **typed)

    await expect(page.locator(f"#{field}")).to_be_focused()
    assert await page.locator("main input:invalid").count() == 1
    await expect(page.locator("#email")).to_have_value(typed["email"])


async def test_an_address_that_is_taken_is_said_and_the_log_in_is_one_step_away(
    page: Page, another_browser: OpenBrowser
) -> None:
    email = await registered((await another_browser()).context)
    await page.goto("/register?next=/sessions")

    await fill(page, email=email.upper(), password="another horse", password_confirm="another horse")
    await is_told(page, "E-mail address", "There is an account with this address.")
    await page.get_by_role("main").get_by_role("link", name="Log in").click()
    await fill(page, email=email, password="slip of the finger")
    await is_told(page, "Password", "The address or the password is wrong.")
    await fill(page, password=PASSWORD)

    await expect(page.get_by_role("heading", name="Where you are logged in")).to_be_visible()


async def test_who_is_logged_in_is_not_asked_to_log_in_or_register_again(page: Page, ada: str) -> None:
    for path in ("/login?next=/account", "/register?next=/account"):
        await page.goto(path)
        await expect(page.get_by_role("heading", name="Your account")).to_be_visible()

    await page.goto("/")
    await log_out(page)
    await log_in(page, ada)


async def test_a_page_that_was_asked_for_comes_after_the_log_in(page: Page, ada: str) -> None:
    await page.goto("/")
    await log_out(page)

    await page.goto("/account/activity?from=a%20mail")
    await log_in(page, f" {ada.upper()} ")

    await expect(page).to_have_url(re.compile(r"/account/activity\?from=a%20mail$"))
