"""Behavior of browsers: tabs, the back button, and forms that are sent twice or while the site is down."""

import re
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import Page, Request, expect

from app.models import Email, User
from support.actions import count
from support.browsers import PASSWORD, OpenPage, fill, type_in
from support.journeys import both_ways, log_in, log_out, new_email, post, registered
from support.mariadb_server import free_port
from support.served_sites import ServedSite, served

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]

TYPED = {
    "/account": {"name": "Ada's secret"},
    "/change-email": {"email": "another@example.com"},
    "/change": {"password": PASSWORD, "new_password": "another horse", "new_password_confirm": "another horse"},
    "/account/delete": {"password": PASSWORD},
}


async def log_out_in_another_tab(page: Page) -> None:
    tab = await page.context.new_page()
    await tab.goto("/")
    await log_out(tab)
    await tab.close()


async def test_typed_text_is_still_there_when_the_session_has_ended(page: Page, ada: str) -> None:
    await page.goto("/account")
    await log_out_in_another_tab(page)

    await fill(page, name="Ada Lovelace")
    await expect(page.get_by_role("status")).to_contain_text("Your session has expired.")
    await log_in(page, ada)

    await expect(page.get_by_label("Name")).to_have_value("Ada Lovelace")
    await fill(page)
    await expect(page.get_by_role("status")).to_have_text("Saved.")


async def test_the_tabs_that_one_user_left_open_change_nothing_of_the_next_user(
    page: Page, ada: str, served_site: ServedSite
) -> None:
    tabs = {path: await page.context.new_page() for path in TYPED}
    for path, tab in tabs.items():
        await tab.goto(path)
    await log_out_in_another_tab(page)
    bob = await registered(page.context)

    for path, tab in tabs.items():
        async with tab.expect_navigation():
            await fill(tab, **TYPED[path])
        await expect(tab.get_by_role("status")).to_contain_text("This page belonged to another user")
    await post(page.context, "/logout")
    await log_in(page, bob)
    await page.goto("/account")
    await expect(page.get_by_label("Name")).to_have_value("")
    assert await count(served_site.app, Email, Email.recipient == "another@example.com") == 0


async def click_twice(page: Page) -> None:
    await page.get_by_role("main").get_by_role("button", name="Register").dblclick(no_wait_after=True)


async def press_enter_twice(page: Page) -> None:
    await page.focus("#password_confirm")
    for _ in range(2):
        await page.keyboard.press("Enter")


@pytest.mark.parametrize("press", [click_twice, press_enter_twice])
async def test_a_form_that_is_sent_twice_at_once_makes_one_account_and_a_session(
    page: Page, request: pytest.FixtureRequest, served_site: ServedSite, press: Callable[[Page], Awaitable[None]]
) -> None:
    email, sent = new_email(), list[Request]()

    def note(seen: Request) -> None:
        if seen.method == "POST" and seen.url.endswith("/register"):
            sent.append(seen)

    page.on("request", note)
    await page.goto("/register")
    await type_in(page, email=email, password=PASSWORD, password_confirm=PASSWORD)
    await press(page)

    await expect(page.get_by_role("link", name="Account", exact=True)).to_have_attribute("title", email)
    page.remove_listener("request", note)
    assert await count(served_site.app, User, User.email == email) == 1
    if "with JavaScript" in request.node.name:
        assert len(sent) == 1


@pytest.mark.parametrize(("again", "scripted"), [("back", True), ("back", False), ("reload", True)])
async def test_a_form_that_was_sent_while_the_site_was_down_is_sent_again(
    keeping_page: Page, settings: dict[str, Any], again: str
) -> None:
    page, email, port = keeping_page, new_email(), free_port()
    typed = {"email": email, "password": PASSWORD, "password_confirm": PASSWORD}
    async with served(settings, port=port) as site:
        await page.goto(f"{site.url}/register?next=/account")
    await type_in(page, **typed)
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile("^chrome-error:"))

    if again == "back":  # from the cache of the browser, without the site
        await page.go_back(wait_until="commit")
        await expect(page.locator("#email")).to_have_value(email)
        assert await page.locator("form[data-sent]").count() == 0
    async with served(settings, port=port):
        await (fill(page, **typed) if again == "back" else page.reload())
        await expect(page.locator("main")).to_contain_text(email)


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


async def delete_account(page: Page) -> None:
    await page.goto("/account/delete")
    await fill(page, password=PASSWORD)
    await expect(page.get_by_text("Your account was deleted")).to_be_visible()


async def comes_from_memory(page: Page) -> bool:
    """Return whether the browser keeps this page for its back button. It keeps none where a script sets a cookie."""
    await page.evaluate("window.mark = true")
    await page.goto("/api/")
    await page.go_back(wait_until="commit")
    return bool(await page.evaluate("window.mark"))


@both_ways
@pytest.mark.parametrize("leave", [log_out, delete_account])
async def test_after_logging_out_the_back_button_leads_to_the_login_page(
    keeping_page: Page, leave: Callable[[Page], Awaitable[None]], *, scripted: bool
) -> None:
    page = keeping_page
    email = await registered(page.context)
    await post(page.context, "/account", name="Ada Lovelace")
    await post(page.context, "/logout")
    await log_in(page, email)  # in the page, otherwise Chromium does not notice that its cookies are deleted
    for path in ("/account", "/sessions"):  # Chromium keeps six pages at most
        await page.goto(path)
        await expect(page.get_by_role("button", name="Log out", exact=True)).to_be_visible()
    assert scripted or await comes_from_memory(page)  # the back button could show the page

    await leave(page)

    for _ in range(await page.evaluate("history.length") - 2):
        await page.go_back(wait_until="commit")
        await expect(page.get_by_role("navigation").get_by_role("link", name="Log in")).to_be_visible()
        shown = await page.content()
        private = (email, "Ada Lovelace", "Chrome on Linux")
        assert not [text for text in private if text in shown], page.url


async def test_typed_text_does_not_come_back_for_the_next_user(open_page: OpenPage) -> None:
    page = await open_page()
    bob = await registered(page.context)
    await post(page.context, "/logout")
    await registered(page.context)
    await page.goto("/")
    await page.goto("/account")
    await page.fill("#name", "Ada's secret")
    await page.goto("/api/")
    await page.go_back()
    await expect(page.get_by_label("Name")).to_have_value("Ada's secret")  # for the same user it does

    await log_out(page)
    await log_in(page, bob)
    for _ in range(2):
        await page.go_back()
        await expect(page.get_by_role("button", name="Log out")).to_be_visible()
    await page.go_back()

    await expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    await expect(page.get_by_label("Name")).to_have_value("")
