"""A real browser and a real site to look at, and what a person does with a form."""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, Playwright, async_playwright

from conftest import UNTHROTTLED
from evidence import PASSED, recorded
from site_process import Site, running_site

FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
PASSWORD = "correct horse battery staple"
UNHURRIED = {f"QUART_{key}": rate for key, rate in UNTHROTTLED.items()}
OpenWindow = Callable[..., Awaitable[BrowserContext]]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("instance"), **UNHURRIED) as running:
        yield running


@pytest.fixture(scope="session")
def chromium() -> str:
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("no chromium on this machine: apt-get install chromium fonts-dejavu-core")
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def playwright(chromium: str) -> AsyncIterator[Playwright]:
    async with async_playwright() as playwright:
        yield playwright


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(playwright: Playwright, chromium: str) -> AsyncIterator[Browser]:
    browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
    yield browser
    await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def open_window(request: pytest.FixtureRequest, browser: Browser) -> AsyncIterator[OpenWindow]:
    """Return what opens a window that shares nothing with others, and is recorded in case that the test fails."""
    async with AsyncExitStack() as windows:

        async def open_one(**options: Any) -> BrowserContext:
            window = await browser.new_context(**options)
            await windows.enter_async_context(recorded(window, request.node))
            return window

        yield open_one


@pytest_asyncio.fixture(params=[True, False], ids=["with JavaScript", "without JavaScript"], loop_scope="module")
async def page(request: pytest.FixtureRequest, open_window: OpenWindow, site: Site) -> AsyncIterator[Page]:
    """A new window, in which nothing may go wrong that a person would not see."""
    window = await open_window(base_url=site.url, java_script_enabled=request.param)
    page = await window.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda sent: complaints.append(sent.url) if not sent.url.startswith(site.url) else None)
    yield page
    request.node.stash[PASSED] &= complaints == []
    assert complaints == []


class Profile:
    """A browser of one person, which keeps its profile: what it forgets when it is closed is really forgotten."""

    def __init__(self, playwright: Playwright, chromium: str, folder: Path, item: pytest.Item) -> None:
        self.launch, self.chromium, self.folder, self.item = (
            playwright.chromium.launch_persistent_context,
            chromium,
            folder,
            item,
        )

    @asynccontextmanager
    async def opened(self, **options: Any) -> AsyncIterator[Page]:
        """Open the browser until the block ends."""
        window = await self.launch(self.folder, executable_path=self.chromium, args=FLAGS, **options)
        async with recorded(window, self.item):
            yield window.pages[0]


@pytest_asyncio.fixture(loop_scope="module")
async def profile(request: pytest.FixtureRequest, playwright: Playwright, chromium: str, tmp_path: Path) -> Profile:
    return Profile(playwright, chromium, tmp_path / "profile", request.node)


async def fill(page: Page, **typed: str) -> None:
    for name, text in typed.items():
        await page.fill(f"#{name}", text)
    await page.click("main form button:not(.reveal)")
