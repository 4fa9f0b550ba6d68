"""The back button of a shared computer: it shows the next user nothing of the user who has left."""

import uuid
from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import Page, expect

from support.browsers import PASSWORD, OpenPage, fill
from support.journeys import both_ways, log_in, log_out, post, registered

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]

Leave = Callable[[Page], Awaitable[None]]
PRIVATE = ("/account", "/sessions")  # Chromium keeps six pages at most


async def delete_account(page: Page) -> None:
    await page.goto("/account/delete")
    await fill(page, password=PASSWORD)
    await expect(page.get_by_text("Your account was deleted")).to_be_visible()


async def look_at_private_pages(page: Page) -> None:
    for path in PRIVATE:
        await page.goto(path)
        await expect(page.get_by_role("button", name="Log out", exact=True)).to_be_visible()


async def comes_from_memory(page: Page) -> bool:
    """Return whether the browser keeps this page for its back button. It keeps none where a script sets a cookie."""
    await page.evaluate("window.mark = true")
    await page.goto("/about")
    await page.go_back(wait_until="commit")
    return bool(await page.evaluate("window.mark"))


@both_ways
@pytest.mark.parametrize("leave", [log_out, delete_account])
async def test_after_logging_out_the_back_button_leads_to_the_login_page(
    keeping_page: Page, leave: Leave, *, scripted: bool
) -> None:
    page, phone = keeping_page, f"+4930{uuid.uuid4().int % 10**8:08}"
    email = await registered(page.context)
    await post(page.context, "/account", name="Ada Lovelace", phone=phone)
    await post(page.context, "/logout")
    await log_in(page, email)  # in the page, else Chromium does not notice that the cookies of the page go
    await look_at_private_pages(page)
    assert scripted or await comes_from_memory(page)  # so there is something that could be shown

    await leave(page)

    for _ in range(await page.evaluate("history.length") - 2):
        await page.go_back(wait_until="commit")
        await expect(page.get_by_role("navigation").get_by_role("link", name="Log in")).to_be_visible()
        shown = await page.content()
        private = (email, "Ada Lovelace", phone, "Chrome on Linux")
        assert not [text for text in private if text in shown], page.url


async def test_typed_text_does_not_come_back_for_the_next_user(open_page: OpenPage) -> None:
    page = await open_page()
    bob = await registered(page.context)
    await post(page.context, "/logout")
    await registered(page.context)
    await page.goto("/")
    await page.goto("/account")
    await page.fill("#name", "Ada's secret")
    await page.goto("/about")
    await page.go_back()
    await expect(page.get_by_label("Name")).to_have_value("Ada's secret")  # for the same user it does

    await log_out(page)
    await log_in(page, bob)
    for _ in range(2):
        await page.go_back()
        await expect(page.get_by_text("Logged in as")).to_be_visible()
    await page.go_back()

    await expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    await expect(page.get_by_label("Name")).to_have_value("")
