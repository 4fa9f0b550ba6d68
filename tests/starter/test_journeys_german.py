"""A journey in German. Delete this file with the German catalog."""

import re

import pytest
from playwright.async_api import expect

from support.app import MAILBOX
from support.browsers import PASSWORD, OpenPage, fill
from support.journeys import both_ways, new_email

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]


@both_ways
async def test_a_chosen_language_stays_on_every_page_and_in_e_mails(open_page: OpenPage, *, scripted: bool) -> None:
    page, email = await open_page(java_script_enabled=scripted), new_email()
    await page.goto("/login?next=/sessions")
    await page.get_by_role("button", name="Deutsch").click()
    await expect(page).to_have_url(re.compile(r"/login\?next=/sessions$"))

    await page.get_by_role("main").get_by_role("link", name="Registrieren").click()
    await fill(page, email=email, password="12345678", password_confirm="12345678")
    await expect(page.get_by_label("Passwort", exact=True)).to_have_accessible_description(re.compile("häufigsten"))
    await fill(page, password=PASSWORD, password_confirm=PASSWORD)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Aktive Sitzungen")

    await page.goto("/change-email")
    await fill(page, email=f"new-{email}")
    await page.goto(MAILBOX)
    mail = page.locator("article").filter(has_text=f"new-{email}").first
    await expect(mail).to_contain_text("Neue E-Mail-Adresse bestätigen")
