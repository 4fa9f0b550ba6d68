"""A user with a browser on the way to a page: steps that need no look are requests of the same browser."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from playwright.async_api import Page, Response

from support.accessibility import look_ordinary
from support.actions import PASSWORD
from support.browsers import Pages
from support.evidence import PASSED
from support.journeys import mailed_link, new_email
from support.served_sites import ServedSite

# Fill in a form and send it, as a browser does that checks nothing itself; other fields stay as the page has them.
SEND = """([typed, fallback]) => {
    const first = Object.keys(typed)[0]
    const form = first ? document.getElementById(first).form : document.querySelector(fallback)
    for (const [id, text] of Object.entries(typed)) form.querySelector("#" + id).value = text
    HTMLFormElement.prototype.submit.call(form)
}"""


@dataclass
class BrowserUser:
    """`email` is new to the site. `status` is that of the page which is shown."""

    page: Page
    site: ServedSite
    sites: dict[str, ServedSite]
    email: str
    status: int = 0

    def note_status(self, response: Response) -> None:
        if response.request.is_navigation_request() and response.frame == self.page.main_frame:
            self.status = response.status

    def filled_in(self, typed: dict[str, str]) -> dict[str, str]:
        return {name: text.replace("{email}", self.email) for name, text in typed.items()}

    async def go(self, path: str) -> None:
        await self.page.goto(self.site.url + path)

    async def send(self, path: str = "", /, **typed: str) -> None:
        """Open a page, and send its form with this in its fields, by their ids. Without a path, stay on the page."""
        if path:
            await self.go(path)
        async with self.page.expect_navigation():
            await self.page.evaluate(SEND, [typed, "main form"])

    async def press(self, path: str, button: str) -> None:
        """Open a page, and press a button of it, named by a selector. Without a path, stay on the page."""
        if path:
            await self.go(path)
        async with self.page.expect_navigation():
            await self.page.click(button)

    async def post(self, path: str, /, **form: str) -> None:
        """Send a form in this browser and follow where it leads, without looking at it."""
        response = await self.page.context.request.post(self.site.url + path, form={**form})
        assert response.ok, f"{path}: {response.status}"

    async def log_in_elsewhere(self, user_agent: str) -> None:
        """Log in with another browser, and close that."""
        browser = self.page.context.browser
        assert browser is not None
        window = await browser.new_context(user_agent=user_agent)
        await window.request.post(f"{self.site.url}/login", form={"email": self.email, "password": PASSWORD})
        await window.close()

    async def link(self, purpose: str) -> str:
        """Return the path of the newest link of a kind that was mailed."""
        return await mailed_link(self.page.context, purpose, self.site.url)


@pytest_asyncio.fixture(loop_scope="session")
async def browser_user(
    request: pytest.FixtureRequest, pages: Pages, sites: dict[str, ServedSite]
) -> AsyncIterator[BrowserUser]:
    """Return a user whom no site knows. A parameter is the language of the browser."""
    async with pages.borrowed(request.node, locale=getattr(request, "param", "en")) as page:
        browser_user = BrowserUser(page, sites["ordinary"], sites, new_email())
        page.on("response", browser_user.note_status)
        yield browser_user
        page.remove_listener("response", browser_user.note_status)
        if request.node.stash[PASSED]:  # else the picture shows the page as it was
            await look_ordinary(page)
