"""What a browser showed when a test failed: test-results/<test>/ keeps a picture of each page.

With TRACE=1 in the environment it keeps a trace too, which costs a third more CPU:
`playwright show-trace test-results/<test>/window-1/trace.zip` plays it back. Nothing is kept of a test that passes.
"""

import hashlib
import os
import re
import shutil
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext
from playwright.async_api import Error as PlaywrightError

PASSED = pytest.StashKey[bool]()
WATCHED = pytest.StashKey[bool]()
MAX_NAME_LENGTH = 120  # file systems and zip tools accept it
HAS_TRACE = os.environ.get("TRACE") == "1"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    item.stash[PASSED] = item.stash[WATCHED] = False
    shutil.rmtree(folder_of(item), ignore_errors=True)  # an earlier run may have left it


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        item.stash[PASSED] = report.passed
    if report.failed and item.stash[WATCHED]:
        where = folder_of(item).relative_to(item.config.rootpath)
        report.sections.append(("What the browser showed", f"Pictures are in {where}/"))
    if report.when == "teardown" and item.stash[PASSED] and not report.failed:
        shutil.rmtree(folder_of(item), ignore_errors=True)
    return report


def folder_of(item: pytest.Item) -> Path:
    """Return the folder of this test: the workers of pytest may run others at the same time."""
    name = re.sub(r"[^\w.-]+", "-", f"{item.path.stem}-{item.name}").strip("-")
    if len(name) > MAX_NAME_LENGTH:
        name = f"{name[: MAX_NAME_LENGTH - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return item.config.rootpath / "test-results" / name


@asynccontextmanager
async def recorded(window: BrowserContext, item: pytest.Item) -> AsyncIterator[None]:
    """Keep what a window shows at the end, unless the test is known to have passed."""
    item.stash[WATCHED] = True
    if HAS_TRACE:
        await window.tracing.start(screenshots=True, snapshots=True)
    try:
        yield
    finally:
        with suppress(PlaywrightError):  # the browser itself may have failed
            place = None if item.stash[PASSED] else await keep_pictures(window, item)
            if HAS_TRACE:
                await window.tracing.stop(path=place / "trace.zip" if place else None)


async def keep_pictures(window: BrowserContext, item: pytest.Item) -> Path:
    """Take a picture of each page in a window of a test, and return the folder in which they are."""
    folder = folder_of(item)
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"window-{len(list(folder.iterdir())) + 1}"
    place.mkdir()
    for number, page in enumerate(window.pages, start=1):
        with suppress(PlaywrightError):  # a page that has crashed
            await page.screenshot(path=place / f"page-{number}.png", full_page=True)
    return place
