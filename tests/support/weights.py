"""What pages weigh and when they are painted, measured in Chromium.

As a program it prints the table of docs/browsers.md:
PYTHONPATH=src:tests python -m support.weights
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

from playwright.async_api import Page, Route, async_playwright

from support.browsers import FLAGS, PASSWORD, fill
from support.site_process import running_site

LOGGED_OUT = ("/", "/login", "/register")
LOGGED_IN = ("/", "/account", "/sessions")
WIDTHS = (320, 1280)
KINDS = {"HTML": "html", "CSS": "css", "JavaScript": "javascript", "images": "image"}  # each, and the word in its type
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


async def row(page: Page, path: str, note: str = "") -> list[str]:
    """Return what the page weighs, as a row of the table."""
    await forget(page)
    first = await loads(page, path)
    await forget(page)
    await loads(page, "/")
    await page.goto("about:blank")
    later = sum(load.size for load in await loads(page, path))
    kinds = [sum(load.size for load in first if kind in load.type) for kind in KINDS.values()]
    shift = max([await shift_while_loading(page, path, width) for width in WIDTHS])
    await forget(page)
    async with scripts_held(page):
        painted = "yes" if await is_painted(page, path) else "no"
    sizes = [f"{size:,}" for size in (*kinds, sum(load.size for load in first), later)]
    return [f"`{path}`{note}", str(len(first)), *sizes, f"{shift:g}", painted]


async def measure(url: str) -> str:
    head = ["Page", "Requests", *KINDS, "Together", "Later", "Layout shift", "Painted before scripts"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = await browser.new_page(base_url=url)
        rows = [head, [":--", *["--:"] * (len(head) - 1)], *[await row(page, path) for path in LOGGED_OUT]]
        await page.goto("/register")
        await fill(page, email="ada@example.com", password=PASSWORD, password_confirm=PASSWORD)
        await page.wait_for_url("/")
        rows += [await row(page, path, ", logged in") for path in LOGGED_IN]
        await browser.close()
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def main() -> None:
    with tempfile.TemporaryDirectory() as instance, running_site(Path(instance)) as site:
        sys.stdout.write(asyncio.run(measure(site.url)) + "\n")


if __name__ == "__main__":
    main()
