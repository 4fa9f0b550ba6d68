"""What a visit costs in a real browser: bytes, requests, a page that holds still, and one that waits for no script."""

import re
from collections.abc import AsyncIterator
from typing import Literal

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from browsers import PASSWORD, fill
from dripping import dripping
from site_process import Site
from weights import OF_A_PERSON, OF_A_STRANGER, WIDTHS, Visitor, is_painted, loads, scripts_held, shifted

FIRST_VISIT_MAX_BYTES = 24_000  # over the network, headers included, without a proxy that compresses pages
LATER_PAGE_MAX_BYTES = 5_000
PAGES = [("stranger", path) for path in OF_A_STRANGER] + [("person", path) for path in OF_A_PERSON]
Who = Literal["stranger", "person"]

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def visitors(browser: Browser, site: Site) -> dict[str, Visitor]:
    stranger = Visitor(browser, site.url)
    return {"stranger": stranger, "person": await stranger.registered("ada@example.com")}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def far_visitors(visitors: dict[str, Visitor], site: Site) -> AsyncIterator[dict[str, Visitor]]:
    """The same over a slow line: a browser paints what has arrived, wherever that ends."""
    async with dripping(site.url) as url:
        yield {who: Visitor(visitor.browser, url, visitor.state) for who, visitor in visitors.items()}


@pytest.mark.parametrize(("who", "path"), PAGES)
async def test_a_first_visit_costs_less_than_24_kilobytes(visitors: dict[str, Visitor], who: Who, path: str) -> None:
    async with visitors[who].window() as page:
        found = await loads(page, path)

    assert {"text/html", "text/css", "image/svg+xml"} <= {load.type for load in found}
    assert sum(load.size for load in found) < FIRST_VISIT_MAX_BYTES, "\n".join(map(str, found))


@pytest.mark.parametrize(("who", "paths"), [("stranger", OF_A_STRANGER), ("person", OF_A_PERSON)])
async def test_a_later_page_costs_its_html_and_nothing_else(
    visitors: dict[str, Visitor], who: Who, paths: tuple[str, ...]
) -> None:
    async with visitors[who].window() as page:
        await loads(page, "/")
        for path in (*paths[1:], "/"):
            found = await loads(page, path)
            assert [load.type for load in found] == ["text/html"], "\n".join(map(str, found))
            assert found[0].size < LATER_PAGE_MAX_BYTES


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("who", "path"), PAGES)
async def test_nothing_moves_while_a_page_loads(
    far_visitors: dict[str, Visitor], who: Who, path: str, width: int
) -> None:
    assert await far_visitors[who].shift(path, width) == 0


async def test_it_would_be_seen_if_something_moved(visitors: dict[str, Visitor]) -> None:
    async with visitors["stranger"].window() as page:
        await page.goto("/login", wait_until="networkidle")
        await page.evaluate("document.body.prepend(document.createElement('hr'), document.createElement('hr'))")

        assert await shifted(page) > 0


@pytest.mark.parametrize(("who", "path"), PAGES)
async def test_a_page_is_painted_before_any_script_arrives(visitors: dict[str, Visitor], who: Who, path: str) -> None:
    async with visitors[who].window() as page, scripts_held(page):
        assert await is_painted(page, path)
        assert await page.locator("h1").is_visible()
        has_script = await page.locator("script[src]").count() > 0
        assert not has_script or await page.evaluate("document.readyState") != "complete"  # they are held indeed


async def test_a_form_is_sent_before_any_script_arrives(visitors: dict[str, Visitor]) -> None:
    async with visitors["stranger"].window() as page, scripts_held(page):
        await page.goto("/register", wait_until="commit")
        await fill(page, email="early@example.com", password=PASSWORD, password_confirm=PASSWORD)
        await page.wait_for_url(re.compile(r"/$"), wait_until="commit")

        await page.goto("/account", wait_until="commit")
        assert page.url.endswith("/account")
