"""Pages are light in a real browser: few bytes and requests, no layout shift, and no wait for scripts."""

import re
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page

from support.browsers import PASSWORD, OpenPage, fill
from support.journeys import new_email, registered
from support.served_sites import ServedSite
from support.slow_client import dripping
from support.weights import (
    LOGGED_IN,
    LOGGED_OUT,
    WIDTHS,
    forget,
    is_painted,
    loads,
    scripts_held,
    shift_while_loading,
    shifted,
)

FIRST_VISIT_MAX_BYTES = 24_000  # over the network, headers included, without a proxy that compresses pages
LATER_PAGE_MAX_BYTES = 5_000

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]
both_users = pytest.mark.parametrize("paths", [LOGGED_OUT, LOGGED_IN], ids=["logged out", "logged in"])


async def opened(open_page: OpenPage, paths: tuple[str, ...], **options: str) -> Page:
    page = await open_page(**options)
    if paths == LOGGED_IN:
        await registered(page.context)
    return page


@both_users
async def test_a_first_visit_costs_less_than_24_kilobytes(open_page: OpenPage, paths: tuple[str, ...]) -> None:
    page = await opened(open_page, paths)
    for path in paths:
        await forget(page)
        found = await loads(page, path)

        assert {"text/html", "text/css", "image/svg+xml"} <= {load.type for load in found}
        assert sum(load.size for load in found) < FIRST_VISIT_MAX_BYTES, "\n".join(map(str, found))


@both_users
async def test_a_later_page_costs_its_html_and_nothing_else(open_page: OpenPage, paths: tuple[str, ...]) -> None:
    page = await opened(open_page, paths)
    await loads(page, "/")

    for path in (*paths[1:], "/"):
        found = await loads(page, path)
        # A feature may add a script to the login page, which is not in /static/.
        of_core = [load for load in found if load.type == "text/html" or urlsplit(load.url).path.startswith("/static/")]
        assert [load.type for load in of_core] == ["text/html"], "\n".join(map(str, found))
        assert found[0].size < LATER_PAGE_MAX_BYTES


@both_users
@pytest.mark.parametrize("name", ["ordinary", "long name"])
async def test_nothing_moves_while_a_page_loads(
    open_page: OpenPage, sites: dict[str, ServedSite], paths: tuple[str, ...], name: str
) -> None:
    site = sites[name]
    async with dripping(site.url) as url:
        page = await open_page(base_url=url)
        if paths == LOGGED_IN:  # not through the slow connection, which forwards only one piece of a request
            form = {"email": new_email(), "password": PASSWORD, "password_confirm": PASSWORD}
            assert (await page.context.request.post(f"{site.url}/register", form={**form})).ok
        shifts = {(path, width): await shift_while_loading(page, path, width) for path in paths for width in WIDTHS}

    assert shifts == dict.fromkeys(shifts, 0)


async def test_a_shift_is_measured(open_page: OpenPage) -> None:
    page = await open_page()
    await page.goto("/login", wait_until="networkidle")
    await page.evaluate("document.body.prepend(document.createElement('hr'), document.createElement('hr'))")

    assert await shifted(page) > 0


@both_users
async def test_a_page_is_painted_before_any_script_arrives(open_page: OpenPage, paths: tuple[str, ...]) -> None:
    page = await opened(open_page, paths)
    for path in paths:
        await forget(page)
        async with scripts_held(page):
            assert await is_painted(page, path), path
            assert await page.locator("h1").is_visible()
            has_script = await page.locator("script[src]").count() > 0
            assert not has_script or await page.evaluate("document.readyState") != "complete"  # scripts are still held


async def test_a_form_is_sent_before_any_script_arrives(open_page: OpenPage) -> None:
    page = await open_page()
    await forget(page)
    async with scripts_held(page):
        await page.goto("/register", wait_until="commit")
        await fill(page, email=new_email(), password=PASSWORD, password_confirm=PASSWORD)
        await page.wait_for_url(re.compile(r"/$"), wait_until="commit")

        await page.goto("/account", wait_until="commit")
        assert page.url.endswith("/account")
