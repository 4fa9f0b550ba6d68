"""The Back button of a shared computer: who has left is not to be seen by the next one."""

import uuid
from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import Page, expect
from quart import Quart
from quart.typing import TestClientProtocol

from browsers import PASSWORD, OpenWindow, fill
from journeys import both_ways, log_in, log_out, post, registered
from people import create_user
from people import log_in as log_in_over_http
from site_process import Site

Leave = Callable[[Page], Awaitable[None]]
PRIVATE = ("/account", "/sessions")  # Chromium keeps six pages at most


async def delete_account(page: Page) -> None:
    await page.get_by_role("link", name="Account", exact=True).click()
    await page.get_by_role("link", name="Delete your account").click()
    await fill(page, password=PASSWORD)
    await expect(page.get_by_text("Your account is deleted")).to_be_visible()


async def look_at_private_pages(page: Page) -> None:
    for path in PRIVATE:
        await page.goto(path)
        await expect(page.get_by_role("button", name="Log out", exact=True)).to_be_visible()


async def comes_from_memory(page: Page) -> bool:
    """Say whether the browser keeps this page for who comes back. It keeps none where a script sets a cookie."""
    await page.evaluate("window.mark = true")
    await page.goto("/about")
    await page.go_back(wait_until="commit")
    return bool(await page.evaluate("window.mark"))


@both_ways
@pytest.mark.parametrize("leave", [log_out, delete_account])
@pytest.mark.asyncio(loop_scope="module")
async def test_after_logging_out_the_back_button_leads_to_the_log_in(
    keeping_page: Page, leave: Leave, *, scripted: bool
) -> None:
    page = keeping_page
    email = await registered(page.context)
    await post(page.context, "/account", name="Ada Lovelace", phone=(number := f"+4930{uuid.uuid4().int % 10**8:08}"))
    await post(page.context, "/logout")
    await log_in(page, email)  # of what such a form leads to Chromium does not see that its cookies go
    await look_at_private_pages(page)
    assert scripted or await comes_from_memory(page)  # so there is something that could be shown

    await leave(page)

    for _ in range(await page.evaluate("history.length") - 2):
        await page.go_back(wait_until="commit")
        await expect(page.get_by_role("navigation").get_by_role("link", name="Log in")).to_be_visible()
        shown = await page.content()
        assert not [secret for secret in (email, "Ada Lovelace", number, "Chrome on Linux") if secret in shown], (
            page.url
        )


async def test_who_leaves_has_the_browser_drop_what_it_keeps(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)
    for path in ("/logout", "/account/delete"):
        await log_in_over_http(client)
        answer = await client.post(path, form={"password": PASSWORD})
        assert (answer.location, answer.headers.get("Clear-Site-Data")) == ("/", '"cache"')


@pytest.mark.asyncio(loop_scope="module")
async def test_what_somebody_had_typed_does_not_come_back_for_the_next_person(
    open_window: OpenWindow, site: Site
) -> None:
    page = await (await open_window(base_url=site.url)).new_page()
    bob = await registered(page.context)
    await post(page.context, "/logout")
    await registered(page.context)
    await page.goto("/")
    await page.goto("/account")
    await page.fill("#name", "Ada's secret")
    await page.goto("/about")
    await page.go_back()
    await expect(page.get_by_label("Name")).to_have_value("Ada's secret")  # to herself it does

    await log_out(page)
    await log_in(page, bob)
    for _ in range(2):
        await page.go_back()
        await expect(page.get_by_text("Logged in as")).to_be_visible()
    await page.go_back()

    await expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    await expect(page.get_by_label("Name")).to_have_value("")
