"""People on their way through the site: what several journeys have in common."""

import re
import sqlite3
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, Playwright, expect

from browsers import FLAGS, PASSWORD, OpenWindow, fill
from evidence import recorded
from site_process import Site

OpenBrowser = Callable[..., Awaitable[Page]]
both_ways = pytest.mark.parametrize("scripted", [True, False], ids=["with JavaScript", "without JavaScript"])


@pytest_asyncio.fixture(loop_scope="module")
async def another_browser(request: pytest.FixtureRequest, open_window: OpenWindow, site: Site) -> OpenBrowser:
    """Return what opens a browser that shares nothing with that of `page`, and runs scripts if that does."""

    async def open_one(**options: Any) -> Page:
        scripted = "with JavaScript" in request.node.name
        window = await open_window(**{"base_url": site.url, "java_script_enabled": scripted} | options)
        return await window.new_page()

    return open_one


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def keeping_browser(playwright: Playwright, chromium: str) -> AsyncIterator[Browser]:
    """Start a browser that keeps whole pages for its Back button, as those of people do.

    What is brought back from there fires no `load`: wait for the `commit`.
    """
    browser = await playwright.chromium.launch(
        executable_path=chromium, args=FLAGS, ignore_default_args=["--disable-back-forward-cache"]
    )
    yield browser
    await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def keeping_page(
    request: pytest.FixtureRequest, keeping_browser: Browser, site: Site, *, scripted: bool
) -> AsyncIterator[Page]:
    window = await keeping_browser.new_context(base_url=site.url, java_script_enabled=scripted)
    async with recorded(window, request.node):
        yield await window.new_page()


def somebody() -> str:
    """Return the address of somebody who is new here."""
    return f"ada-{uuid.uuid4().hex[:8]}@example.com"


@pytest_asyncio.fixture(loop_scope="module")
async def ada(page: Page) -> str:
    """Return the address of somebody who has registered, and is logged in."""
    return await registered(page.context)


async def registered(window: BrowserContext, password: str = PASSWORD) -> str:
    """Open an account in this browser, without looking at it."""
    email = somebody()
    await post(window, "/register", email=email, password=password, password_confirm=password)
    return email


async def post(window: BrowserContext, path: str, **form: str) -> None:
    """Send a form in this browser and follow where it leads, without looking at it."""
    answer = await window.request.post(path, form={**form})
    assert answer.ok, f"{path}: {answer.status}"


async def log_in(page: Page, email: str, password: str = PASSWORD) -> None:
    """Fill in the log-in page, which is shown already or is opened."""
    if "/login" not in page.url:
        await page.goto("/login")
    await fill(page, email=email, password=password)
    await expect(page.get_by_role("button", name="Log out", exact=True)).to_be_visible()


async def log_out(page: Page) -> None:
    await page.get_by_role("button", name="Log out", exact=True).click()
    await expect(page.get_by_text("You are not logged in.")).to_be_visible()


async def asks_to_log_in(page: Page) -> None:
    await expect(page).to_have_url(re.compile("/login"))
    await expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def execute(site: Site, statement: str, **values: str) -> list[Any]:
    """Do something to the database of a running site."""
    with closing(sqlite3.connect(site.instance / "app.db", timeout=5)) as database, database:
        return database.execute(statement, values).fetchall()


def expire_log_ins(site: Site, email: str) -> None:
    theirs = "user_id = (SELECT id FROM user WHERE email = :email)"
    execute(site, f"UPDATE user_session SET expires_on = '2020-01-01 00:00:00.000000' WHERE {theirs}", email=email)


async def mailed_link(window: BrowserContext, kind: str) -> str:
    """Return the path of the newest link of a kind that was mailed."""
    mailbox = await (await window.request.get("/dev/mailbox")).text()
    found = re.search(rf"/{kind}/[\w-]+\.[\w-]+", mailbox)
    assert found, f"no mail has a link to /{kind}/"
    return found[0]
