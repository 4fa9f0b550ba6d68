"""What a password manager finds in our forms: WHATWG's words for it, and nothing that Chromium complains of."""

import pytest
from playwright.async_api import Page, expect

from browsers import PASSWORD, OpenWindow, fill
from journeys import mailed_link, post, registered
from site_process import Site

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOBODY_TYPES_IT = ("", "", "text", "username")  # hidden: it says whose password it is
EMAIL = ("email", "email", "email", "username")
CURRENT = ("password", "password", "password", "current-password")
NEW = ("password", "password", "password", "new-password")
NEW_AGAIN = ("password_confirm", "password_confirm", "password", "new-password")
CHOSEN = ("new_password", "new_password", "password", "new-password")
CHOSEN_AGAIN = ("new_password_confirm", "new_password_confirm", "password", "new-password")
OF_A_STRANGER = {
    "/login": [EMAIL, CURRENT],
    "/register": [EMAIL, NEW, NEW_AGAIN],
    "/reset": [EMAIL],
    "{reset}": [NOBODY_TYPES_IT, CHOSEN, CHOSEN_AGAIN],
}
OF_A_PERSON = {
    "/change": [NOBODY_TYPES_IT, CURRENT, CHOSEN, CHOSEN_AGAIN],
    "/verify": [NOBODY_TYPES_IT, CURRENT],
    "/account/delete": [NOBODY_TYPES_IT, CURRENT],
    "/account": [("name", "name", "text", "name"), ("phone", "phone", "tel", "tel")],
    "/change-email": [("email", "email", "email", "email")],
}
FIELDS = "main form input[autocomplete]"
DESCRIBE = "fields => fields.map(field => [field.id, field.name, field.type, field.autocomplete])"
NAMELESS = '<form><input type="password" autocomplete="current-password"><button>Go</button></form>'
WORDLESS = '<form><input name="email"><input type="password"><input type="password"><button>Go</button></form>'
NOTE_TYPE = """document.querySelector("main form").addEventListener(
    "submit", () => { window.name = document.querySelector("#password").type })"""
SETTLED = "new Promise(done => requestIdleCallback(() => setTimeout(done, 100)))"


async def complaints(page: Page) -> list[str]:
    """Return a list to which Chromium adds what it finds wrong with a page's forms."""
    found: list[str] = []
    devtools = await page.context.new_cdp_session(page)
    devtools.on("Log.entryAdded", lambda said: found.append(said["entry"]["text"]))
    await devtools.send("Log.enable")
    return found


@pytest.mark.parametrize("pages", [OF_A_STRANGER, OF_A_PERSON], ids=["stranger", "person"])
async def test_each_field_says_what_belongs_in_it_and_chromium_has_nothing_to_say(
    open_window: OpenWindow, site: Site, pages: dict[str, list[tuple[str, ...]]]
) -> None:
    window = await open_window(base_url=site.url)
    page, email = await window.new_page(), await registered(window)
    reset = ""
    if pages is OF_A_STRANGER:
        await post(window, "/logout")
        await post(window, "/reset", email=email)
        reset = await mailed_link(window, "reset")
    found = await complaints(page)

    for path, fields in pages.items():
        await page.goto(path.format(reset=reset))
        assert [tuple(field) for field in await page.locator(FIELDS).evaluate_all(DESCRIBE)] == fields, path
        for whose in await page.locator("main form input[autocomplete=username][hidden]").all():
            assert await whose.input_value() == email
        await page.evaluate(SETTLED)
        assert found == [], path


async def test_it_would_be_seen_if_chromium_complained(open_window: OpenWindow, site: Site) -> None:
    page = await (await open_window(base_url=site.url)).new_page()
    forms = f"<!doctype html><title>Forms</title>{NAMELESS}{WORDLESS}"
    await page.route("**/about", lambda route: route.fulfill(body=forms, content_type="text/html"))
    found = await complaints(page)

    await page.goto("/about")
    await page.evaluate(SETTLED)

    assert any("Password forms should have (optionally hidden) username fields" in text for text in found)
    assert any("Input elements should have autocomplete attributes" in text for text in found)


@pytest.mark.parametrize("path", ["/login", "/register", "/change", "/verify", "/account/delete"])
async def test_a_password_can_be_pasted(open_window: OpenWindow, site: Site, path: str) -> None:
    window = await open_window(base_url=site.url, permissions=["clipboard-read", "clipboard-write"])
    page = await window.new_page()
    if path not in ("/login", "/register"):
        await registered(window)
    await page.goto(path)
    await page.evaluate("text => navigator.clipboard.writeText(text)", PASSWORD)

    for field in await page.locator("main input[type=password]").all():
        await field.focus()
        await page.keyboard.press("Control+V")
        await expect(field).to_have_value(PASSWORD)


async def test_a_password_that_is_shown_is_a_password_again_when_it_is_sent(
    page: Page, request: pytest.FixtureRequest
) -> None:
    await page.goto("/login")
    field, button = page.locator("#password"), page.locator(".reveal")
    if "without JavaScript" in request.node.name:
        await expect(button).to_be_hidden()
        return
    await page.fill("#email", "nobody@example.com")
    await page.fill("#password", PASSWORD)

    for name, kind in [("Show Password", "text"), ("Hide Password", "password"), ("Show Password", "text")]:
        await page.get_by_role("button", name=name).click()
        await expect(field).to_have_attribute("type", kind)
        await expect(field).to_have_value(PASSWORD)

    await page.evaluate(NOTE_TYPE)
    await fill(page)
    await expect(page.locator("#password-error")).to_be_visible()
    assert await page.evaluate("window.name") == "password"
