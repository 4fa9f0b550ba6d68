"""One browser for all tests, pages that they reuse, and what a user does with a form."""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Playwright, Request, async_playwright

from support.app import UNLIMITED
from support.evidence import PASSED, recorded
from support.served_sites import ServedSite
from support.site_process import Site, running_site

FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
PASSWORD = "correct horse battery staple"
OpenPage = Callable[..., Awaitable[Page]]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run the site in a process of its own, without rate limits."""
    settings = {f"QUART_{key}": rate for key, rate in UNLIMITED.items()}
    with running_site(tmp_path_factory.mktemp("instance"), **settings) as running:
        yield running


@pytest.fixture(scope="session")
def chromium() -> str:
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("no chromium on this machine: apt-get install chromium fonts-dejavu-core")
    return found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def playwright(chromium: str) -> AsyncIterator[Playwright]:
    async with async_playwright() as playwright:
        yield playwright


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(playwright: Playwright, chromium: str) -> AsyncIterator[Browser]:
    browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
    yield browser
    await browser.close()


@dataclass
class Pages:
    """Pages, each in a window of its own, that tests borrow. A new page costs half a second of CPU."""

    browser: Browser
    free: dict[str, list[Page]] = field(default_factory=dict)

    @asynccontextmanager
    async def borrowed(self, item: pytest.Item, **options: Any) -> AsyncIterator[Page]:
        """Return an empty page without cookies. After a failure it is not used again."""
        free = self.free.setdefault(repr(sorted(options.items())), [])
        page = free.pop() if free else await (await self.browser.new_context(**options)).new_page()
        async with recorded(page.context, item):
            yield page
        if item.stash[PASSED]:
            await clean(page)
            free.append(page)
        else:
            await page.context.close()


async def clean(page: Page) -> None:
    for other in page.context.pages:
        if other is not page:
            await other.close()
    await page.unroute_all()
    await page.goto("about:blank")
    await page.context.clear_cookies()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def pages(browser: Browser) -> Pages:
    return Pages(browser)


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(request: pytest.FixtureRequest, pages: Pages, served_site: ServedSite) -> AsyncIterator[OpenPage]:
    """Return a function that opens a page in a window that shares no cookies with others."""
    async with AsyncExitStack() as borrowed:

        async def open_one(**options: Any) -> Page:
            return await borrowed.enter_async_context(
                pages.borrowed(request.node, **{"base_url": served_site.url} | options)
            )

        yield open_one


@pytest_asyncio.fixture(
    params=[
        pytest.param(True, id="with JavaScript"),
        pytest.param(False, id="without JavaScript", marks=pytest.mark.long),
    ],
    loop_scope="session",
)
async def page(request: pytest.FixtureRequest, open_page: OpenPage, served_site: ServedSite) -> AsyncIterator[Page]:
    """Return a page on which no script may fail and no other site be requested."""
    page, problems = await open_page(java_script_enabled=request.param), list[str]()

    def note_error(error: Exception) -> None:
        problems.append(str(error))

    def note_request(sent: Request) -> None:
        if not sent.url.startswith(served_site.url):
            problems.append(sent.url)

    page.on("pageerror", note_error)
    page.on("request", note_request)
    yield page
    page.remove_listener("pageerror", note_error)
    page.remove_listener("request", note_request)
    request.node.stash[PASSED] &= problems == []
    assert problems == []


async def type_in(page: Page, **typed: str) -> None:
    """Type into fields, by their ids."""
    for name, text in typed.items():
        await page.fill(f"#{name}", text)


async def fill(page: Page, **typed: str) -> None:
    """Type into fields, and send their form."""
    await type_in(page, **typed)
    await page.click("main form button:not(.reveal)")
