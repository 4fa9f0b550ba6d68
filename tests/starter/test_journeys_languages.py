"""The language and the time zone of a user: in pages and mails, in each browser."""

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import Page, expect

from support.browsers import PASSWORD, OpenPage, Profile, fill
from support.journeys import both_ways, new_email, registered
from support.served_sites import ServedSite

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]


async def is_german(page: Page, title: str) -> None:
    await expect(page.get_by_role("heading", level=1)).to_have_text(title)
    await expect(page.locator("html")).to_have_attribute("lang", "de")
    await expect(page.get_by_role("button", name="Deutsch")).to_have_attribute("aria-current", "true")


async def newest_mail(page: Page, to: str) -> str:
    await page.goto("/dev/mailbox")
    return await page.locator("article").filter(has_text=to).first.inner_text()


async def choose_german_and_register(page: Page, email: str) -> None:
    await page.goto("/login?next=/sessions")
    await page.get_by_role("button", name="Deutsch").click()
    await is_german(page, "Anmelden")
    await expect(page).to_have_url(re.compile(r"/login\?next=/sessions$"))

    await page.get_by_role("main").get_by_role("link", name="Registrieren").click()
    await fill(page, email=email, password="12345678", password_confirm="12345678")
    await expect(page.get_by_label("Passwort", exact=True)).to_have_accessible_description(re.compile("häufigsten"))
    await fill(page, password=PASSWORD, password_confirm=PASSWORD)
    await is_german(page, "Aktive Sitzungen")


@both_ways
async def test_a_chosen_language_stays_in_mails_and_after_the_browser_was_closed(
    served_site: ServedSite, profile: Profile, *, scripted: bool
) -> None:
    email, options = new_email(), {"base_url": served_site.url, "java_script_enabled": scripted}
    async with profile.opened(**options) as page:
        await choose_german_and_register(page, email)
        await page.goto("/change-email")
        await fill(page, email=f"new-{email}")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Ihr Konto")
        assert "Neue E-Mail-Adresse bestätigen" in await newest_mail(page, f"new-{email}")

    async with profile.opened(**options) as page:
        await page.goto("/login")
        await is_german(page, "Anmelden")
        await page.get_by_role("link", name="Passwort vergessen?").click()
        await is_german(page, "Passwort vergessen?")


@both_ways
async def test_a_mail_is_in_the_language_of_its_reader_not_of_the_browser_that_causes_it(
    open_page: OpenPage, *, scripted: bool
) -> None:
    reader, other = [await open_page(java_script_enabled=scripted, locale=locale) for locale in ("de-AT", "en-GB")]
    email = new_email()
    await reader.goto("/register")
    await fill(reader, email=email, password=PASSWORD, password_confirm=PASSWORD)
    await is_german(reader, "Benutzerkonten, fertig zum Weiterbauen")

    await other.goto("/reset")
    await fill(other, email=email)
    await expect(other.get_by_role("status")).to_contain_text("If an account exists")

    assert "Passwort zurücksetzen" in await newest_mail(other, email)


@both_ways
async def test_times_are_in_the_zone_of_a_browser_that_runs_scripts(open_page: OpenPage, *, scripted: bool) -> None:
    page = await open_page(java_script_enabled=scripted, locale="en-GB", timezone_id="Europe/Berlin")
    await registered(page.context)
    await page.goto("/account")
    await page.goto("/sessions")

    for time in await page.locator("main time").all():
        iso = await time.get_attribute("datetime")
        moment, shown = datetime.fromisoformat(iso or ""), await time.inner_text()
        assert moment.utcoffset() == timedelta(0)
        here = moment.astimezone(ZoneInfo("Europe/Berlin")) if scripted else moment
        assert f"{here:%H:%M}{'' if scripted else ' UTC'}" in shown
        assert ("UTC" in shown) is not scripted
