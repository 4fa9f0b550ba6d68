"""Users on their way through the site: steps that several journeys share."""

import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, Playwright, expect

from support.app import MAILBOX
from support.browsers import FLAGS, PASSWORD, OpenPage, fill
from support.evidence import recorded
from support.served_sites import ServedSite

OpenBrowser = Callable[..., Awaitable[Page]]
LOG_IN = "header a[href='/login']"  # shown on every page to a client without a session
both_ways = pytest.mark.parametrize("scripted", [True, False], ids=["with JavaScript", "without JavaScript"])


@pytest_asyncio.fixture(loop_scope="session")
async def another_browser(request: pytest.FixtureRequest, open_page: OpenPage) -> OpenBrowser:
    """Return a function that opens another browser than that of `page`, which runs scripts if that does."""

    async def open_one(**options: Any) -> Page:
        return await open_page(java_script_enabled="with JavaScript" in request.node.name, **options)

    return open_one


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def keeping_browser(playwright: Playwright, chromium: str) -> AsyncIterator[Browser]:
    """Start a browser that keeps whole pages for its back button, as browsers of users do.

    A page that comes back from there fires no `load`: wait for the `commit`.
    """
    browser = await playwright.chromium.launch(
        executable_path=chromium, args=FLAGS, ignore_default_args=["--disable-back-forward-cache"]
    )
    yield browser
    await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def keeping_page(
    request: pytest.FixtureRequest, keeping_browser: Browser, served_site: ServedSite, *, scripted: bool
) -> AsyncIterator[Page]:
    window = await keeping_browser.new_context(base_url=served_site.url, java_script_enabled=scripted)
    async with recorded(window, request.node):
        yield await window.new_page()
    await window.close()


def new_email() -> str:
    """Return an e-mail address that the site does not know."""
    return f"ada-{uuid.uuid4().hex[:8]}@example.com"


@pytest_asyncio.fixture(loop_scope="session")
async def ada(page: Page) -> str:
    """Return the e-mail address of a user who is logged in on `page`."""
    return await registered(page.context)


async def registered(window: BrowserContext, password: str = PASSWORD) -> str:
    """Register in this browser without a look, and return the e-mail address."""
    email = new_email()
    await post(window, "/register", email=email, password=password, password_confirm=password)
    return email


async def start_session(window: BrowserContext, email: str, password: str = PASSWORD) -> None:
    """Log in in this browser without a look."""
    await post(window, "/login", email=email, password=password)


async def post(window: BrowserContext, path: str, **form: str) -> None:
    """Send a form in this browser and follow its redirects, without a look."""
    response = await window.request.post(path, form={**form})
    assert response.ok, f"{path}: {response.status}"


async def log_in(page: Page, email: str, password: str = PASSWORD) -> None:
    """Fill in the login page; open it unless it is shown."""
    if "/login" not in page.url:
        await page.goto("/login")
    await fill(page, email=email, password=password)
    await expect(page.get_by_role("button", name="Log out", exact=True)).to_be_visible()


async def log_out(page: Page) -> None:
    await page.get_by_role("button", name="Log out", exact=True).click()
    await expect(page.locator(LOG_IN)).to_be_visible()


async def mailed_link(window: BrowserContext, kind: str, site: str = "") -> str:
    """Return the path of the newest link of a kind in the mailbox, which shows the newest e-mail first."""
    mailbox = await (await window.request.get(f"{site}{MAILBOX}")).text()
    found = re.search(rf"/{kind}/[\w-]+\.[\w-]+", mailbox)
    assert found, f"no e-mail has a link to /{kind}/"
    return found[0]
