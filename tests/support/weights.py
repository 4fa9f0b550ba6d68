"""What pages weigh and when they are painted, measured in Chromium."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from playwright.async_api import Page, Route

LOGGED_OUT = ("/", "/login", "/register")
LOGGED_IN = ("/", "/account", "/sessions")
WIDTHS = (320, 1280)
PAINT_TIMEOUT_SECONDS = 5
# Chromium requests the icon at any time. Requested here, it comes once, from the network or from the cache.
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


async def forget(page: Page) -> None:
    """Leave the page, and empty the cache of its browser."""
    await page.goto("about:blank")
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("Network.clearBrowserCache")
    await devtools.detach()


async def shift_while_loading(page: Page, path: str, width: int) -> float:
    """Return how far the parts of a page move after they are first painted: 0 is not at all."""
    await forget(page)
    await page.set_viewport_size({"width": width, "height": 900})
    await page.goto(path, wait_until="networkidle")
    return await shifted(page)


async def loads(page: Page, path: str) -> list[Load]:
    """Open a page, and return what came over the network until it was there with its icon."""
    found: dict[str, Load] = {}

    def begin(event: dict[str, Any]) -> None:
        head = event["response"]
        found[event["requestId"]] = Load(head["url"], head["mimeType"], head["encodedDataLength"])

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
    """Open a page, and return whether a part of it is painted before the timeout."""
    await page.goto(path, wait_until="commit")
    for _ in range(PAINT_TIMEOUT_SECONDS * 10):
        if await page.evaluate(IS_PAINTED):
            return True
        await asyncio.sleep(0.1)
    return False
