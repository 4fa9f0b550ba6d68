"""What pages weigh and when they are painted, measured in Chromium. Run it, and it prints the table of the docs:

PYTHONPATH=src python tests/weights.py
"""

import asyncio
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, Route, StorageState, async_playwright

from browsers import FLAGS, PASSWORD, fill
from site_process import running_site

OF_A_STRANGER = ("/", "/about", "/login", "/register")
OF_A_PERSON = ("/", "/account", "/sessions")
WIDTHS = (320, 1280)
KINDS = {"HTML": "html", "CSS": "css", "JavaScript": "javascript", "images": "image"}  # each, and the word in its type
PATIENCE = 5  # seconds
# Chromium asks for the icon when it likes: asked for here, it comes from the network or from the cache, but once.
ASK_FOR_ICONS = """async () => {
    const icons = [...document.querySelectorAll("link[rel~=icon]")].map((icon) => icon.href);
    await Promise.all(icons.filter((url) => url.startsWith(location.origin)).map((url) => fetch(url)));
}"""
SHIFT = """async () => {
    await document.fonts.ready;
    await new Promise((painted) => requestAnimationFrame(() => requestAnimationFrame(painted)));
    return await new Promise((answer) => {
        new PerformanceObserver((list) => answer(list.getEntries().reduce((sum, entry) => sum + entry.value, 0)))
            .observe({type: "layout-shift", buffered: true});
        setTimeout(() => answer(0), 300);  // the observer is never called where nothing has moved
    });
}"""
IS_PAINTED = """() => performance.getEntriesByName("first-contentful-paint").length > 0
    && performance.getEntriesByName("first-paint").length > 0"""


@dataclass
class Load:
    """What came over the network for one request, in bytes of HTTP: `head` and body together are `size`."""

    url: str
    type: str
    head: int
    size: int = 0

    def __str__(self) -> str:
        return f"{self.url}: {self.size - self.head} + {self.head} of headers"


@dataclass
class Weight:
    """A row of the table."""

    page: str
    first: list[Load]
    later: list[Load]
    shift: float
    is_painted_without_scripts: bool

    @property
    def bytes(self) -> int:
        return sum(load.size for load in self.first)

    def bytes_of(self, kind: str) -> int:
        return sum(load.size for load in self.first if KINDS[kind] in load.type)


class Visitor:
    """Who opens a window for each look, with nothing in its cache."""

    def __init__(self, browser: Browser, url: str, state: StorageState | None = None) -> None:
        self.browser = browser
        self.url = url
        self.state = state

    @asynccontextmanager
    async def window(self, width: int = 1280) -> AsyncIterator[Page]:
        viewport: Any = {"width": width, "height": 900}
        context = await self.browser.new_context(base_url=self.url, storage_state=self.state, viewport=viewport)
        yield await context.new_page()
        await context.close()

    async def registered(self, email: str) -> "Visitor":
        """Open an account, and return its owner."""
        async with self.window() as page:
            await page.goto("/register")
            await fill(page, email=email, password=PASSWORD, password_confirm=PASSWORD)
            await page.wait_for_url("/")
            return Visitor(self.browser, self.url, await page.context.storage_state())

    async def weigh(self, path: str) -> Weight:
        async with self.window() as page:
            first = await loads(page, path)
        async with self.window() as page:
            await loads(page, "/")
            await page.goto("about:blank")
            later = await loads(page, path)
        shift = max([await self.shift(path, width) for width in WIDTHS])
        async with self.window() as page, scripts_held(page):
            return Weight(path, first, later, shift, await is_painted(page, path))

    async def shift(self, path: str, width: int) -> float:
        """Return how far the parts of a page move after they are first painted: 0 is not at all."""
        async with self.window(width) as page:
            await page.goto(path, wait_until="networkidle")
            return await shifted(page)


async def loads(page: Page, path: str) -> list[Load]:
    """Open a page, and return what came over the network until it was there with its icon."""
    found: dict[str, Load] = {}

    def begin(event: dict[str, Any]) -> None:
        answer = event["response"]
        found[event["requestId"]] = Load(answer["url"], answer["mimeType"], answer["encodedDataLength"])

    def finish(event: dict[str, Any]) -> None:
        if load := found.get(event["requestId"]):
            load.size = round(event["encodedDataLength"])

    devtools = await page.context.new_cdp_session(page)
    devtools.on("Network.responseReceived", begin)
    devtools.on("Network.loadingFinished", finish)
    await devtools.send("Network.enable")
    await page.goto(path, wait_until="networkidle")
    await page.evaluate(ASK_FOR_ICONS)
    await page.wait_for_load_state("networkidle")
    await devtools.detach()
    return [load for load in found.values() if load.size]  # what the cache had is of no size


async def shifted(page: Page) -> float:
    return float(await page.evaluate(SHIFT))


@asynccontextmanager
async def scripts_held(page: Page) -> AsyncIterator[None]:
    """Let no script arrive until the block ends."""
    end = asyncio.Event()

    async def hold(route: Route) -> None:
        if route.request.resource_type == "script":
            await end.wait()
            await route.abort()
        else:
            await route.continue_()

    await page.route("**/*", hold)
    yield
    end.set()
    await page.unroute_all(behavior="wait")


async def is_painted(page: Page, path: str) -> bool:
    """Open a page, and say whether something of it can be seen within the time that we have."""
    await page.goto(path, wait_until="commit")
    for _ in range(PATIENCE * 10):
        if await page.evaluate(IS_PAINTED):
            return True
        await asyncio.sleep(0.1)
    return False


def table(weights: list[Weight], of_whom: list[str]) -> str:
    head = ["Page", "Requests", *KINDS, "Together", "Later", "Layout shift", "Painted before scripts"]
    rows = [head, [":--", *["--:"] * (len(head) - 1)]]
    for weight, whose in zip(weights, of_whom, strict=True):
        kinds = [f"{weight.bytes_of(kind):,}" for kind in KINDS]
        later = f"{sum(load.size for load in weight.later):,}"
        painted = "yes" if weight.is_painted_without_scripts else "no"
        page = f"`{weight.page}`{whose}"
        rows.append([page, str(len(weight.first)), *kinds, f"{weight.bytes:,}", later, f"{weight.shift:g}", painted])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


async def measure(url: str) -> str:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        stranger = Visitor(browser, url)
        person = await stranger.registered("ada@example.com")
        weights = [await stranger.weigh(path) for path in OF_A_STRANGER]
        weights += [await person.weigh(path) for path in OF_A_PERSON]
        await browser.close()
    return table(weights, [""] * len(OF_A_STRANGER) + [", logged in"] * len(OF_A_PERSON))


def main() -> None:
    with tempfile.TemporaryDirectory() as instance, running_site(Path(instance)) as site:
        sys.stdout.write(asyncio.run(measure(site.url)) + "\n")


if __name__ == "__main__":
    main()
