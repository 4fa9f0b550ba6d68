"""Pictures of the finished pages for the docs: `make pictures` writes docs/images/.

Each shows one page three times: wide and light, middling and dark, narrow and light.
"""

import asyncio
import base64
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from playwright.async_api import Page, async_playwright

from support.app import MAILBOX, ROOT
from support.browsers import FLAGS, PASSWORD, fill
from support.site_process import running_site

IMAGES = ROOT / "docs/images"
LOOKS = [("light", 1280), ("dark", 768), ("light", 320)]
EMAIL = "ada.lovelace@example.com"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.0 Mobile/15E148 Safari/604.1"
)
SHEET = """<body style="margin: 0; display: flex; gap: 24px; padding: 24px; background: #8d9499; width: fit-content">
{images}</body>"""
IMAGE = """<img src="data:image/png;base64,{data}" style="height: 720px; border-radius: 6px">"""


async def register(page: Page) -> None:
    await page.goto("/register")
    await fill(page, email=EMAIL, password=PASSWORD, password_confirm=PASSWORD)


async def invalid_registration(page: Page) -> None:
    await page.goto("/register")
    await fill(page, email=EMAIL, password=PASSWORD, password_confirm="another")


async def with_another_browser(page: Page) -> None:
    assert page.context.browser is not None
    phone = await page.context.browser.new_context(user_agent=IPHONE, base_url=page.url.removesuffix("/account"))
    await phone.request.post("/login", form={"email": EMAIL, "password": PASSWORD})
    await page.goto("/sessions")


# In this order: the user is logged in after the registration. A page is opened by its path or by a function.
PAGES: dict[str, str | Callable[[Page], Awaitable[None]]] = {
    "front-page": "/",
    "login": "/login",
    "register": invalid_registration,
    "welcome": register,
    "account": "/account",
    "sessions": with_another_browser,
    "activity": "/account/activity",
    "change-password": "/change",
    "delete-account": "/account/delete",
    "mailbox": MAILBOX,
    "not-found": "/nowhere",
}


async def take(page: Page, name: str) -> None:
    """Take the three looks of what the page shows, and put them on one sheet."""
    images = []
    for scheme, width in LOOKS:
        await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        await page.set_viewport_size({"width": width, "height": 800})
        images.append(IMAGE.format(data=base64.b64encode(await page.screenshot(animations="disabled")).decode()))
    sheet = await page.context.new_page()
    await sheet.set_content(SHEET.format(images="".join(images)))
    await sheet.locator("body").screenshot(path=IMAGES / f"{name}.jpg", type="jpeg", quality=80)
    await sheet.close()


async def main() -> None:
    chromium = shutil.which("chromium") or sys.exit("no chromium on this machine: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder, running_site(Path(folder)) as site:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            window = await browser.new_context(base_url=site.url, locale="en-GB", timezone_id="Europe/London")
            page = await window.new_page()
            for name, bring in PAGES.items():
                await (page.goto(bring) if isinstance(bring, str) else bring(page))
                await take(page, name)
            await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
