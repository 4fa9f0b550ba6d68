"""What a browser showed when a test failed: test-results/<test>/ keeps pictures of its pages and a Playwright trace.

`playwright show-trace test-results/<test>/window-1/trace.zip` plays it back. Of a test that passes nothing is kept.
"""

import hashlib
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
NAME_LENGTH = 120  # what file systems and zip tools take without trouble


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    item.stash[PASSED] = item.stash[WATCHED] = False
    shutil.rmtree(folder_of(item), ignore_errors=True)  # what an earlier run has left


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        item.stash[PASSED] = report.passed
    if report.failed and item.stash[WATCHED]:
        where = folder_of(item).relative_to(item.config.rootpath)
        report.sections.append(("What the browser showed", f"Pictures and a trace are in {where}/"))
    if report.when == "teardown" and item.stash[PASSED] and not report.failed:
        shutil.rmtree(folder_of(item), ignore_errors=True)
    return report


def folder_of(item: pytest.Item) -> Path:
    """Return a folder of this test's own; pytest's workers may run others at the same time."""
    name = re.sub(r"[^\w.-]+", "-", f"{item.path.stem}-{item.name}").strip("-")
    if len(name) > NAME_LENGTH:
        name = f"{name[: NAME_LENGTH - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return item.config.rootpath / "test-results" / name


@asynccontextmanager
async def recorded(window: BrowserContext, item: pytest.Item) -> AsyncIterator[None]:
    """Record what happens in a window, keep it unless the test is known to have passed, and close the window."""
    item.stash[WATCHED] = True
    await window.tracing.start(screenshots=True, snapshots=True)
    try:
        yield
    finally:
        with suppress(PlaywrightError):  # the browser itself may be what has failed
            if not item.stash[PASSED]:
                await keep(window, new_place(item))
            await window.close()


def new_place(item: pytest.Item) -> Path:
    """Make a folder for one more window of a test, and return it."""
    folder = folder_of(item)
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"window-{len(list(folder.iterdir())) + 1}"
    place.mkdir()
    return place


async def keep(window: BrowserContext, place: Path) -> None:
    for number, page in enumerate(window.pages, start=1):
        with suppress(PlaywrightError):  # a page that has crashed
            await page.screenshot(path=place / f"page-{number}.png", full_page=True)
    await window.tracing.stop(path=place / "trace.zip")
