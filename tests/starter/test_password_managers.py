"""The forms have the autocomplete values that password managers expect, and Chromium logs no warning about them."""

import pytest
from playwright.async_api import Page, expect

from support.browsers import PASSWORD, OpenPage, fill
from support.journeys import mailed_link, post, registered

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]

HIDDEN_USERNAME = ("", "", "text", "username")  # the account, for a password manager
EMAIL = ("email", "email", "email", "username")
CURRENT = ("password", "password", "password", "current-password")
NEW = ("password", "password", "password", "new-password")
NEW_AGAIN = ("password_confirm", "password_confirm", "password", "new-password")
CHOSEN = ("new_password", "new_password", "password", "new-password")
CHOSEN_AGAIN = ("new_password_confirm", "new_password_confirm", "password", "new-password")
LOGGED_OUT = {
    "/login": [EMAIL, CURRENT],
    "/register": [EMAIL, NEW, NEW_AGAIN],
    "/reset": [EMAIL],
    "{reset}": [HIDDEN_USERNAME, CHOSEN, CHOSEN_AGAIN],
}
LOGGED_IN = {
    "/change": [HIDDEN_USERNAME, CURRENT, CHOSEN, CHOSEN_AGAIN],
    "/verify": [HIDDEN_USERNAME, CURRENT],
    "/account/delete": [HIDDEN_USERNAME, CURRENT],
    "/account": [("name", "name", "text", "name")],
    "/change-email": [("email", "email", "email", "email")],
}
FIELDS = "main form input[autocomplete]:not([type=tel])"
# The feature passkeys adds a word to the e-mail field.
DESCRIBE = """fields => fields.map(
    field => [field.id, field.name, field.type, field.autocomplete.replace(" webauthn", "")])"""
BAD = """<!doctype html><title>Forms</title>
<form><input type="password" autocomplete="current-password"><button>Go</button></form>
<form><input name="email"><input type="password"><input type="password"><button>Go</button></form>"""
NOTE_TYPE = """document.querySelector("main form").addEventListener(
    "submit", () => { window.name = document.querySelector("#password").type })"""
SETTLED = "new Promise(done => requestIdleCallback(() => setTimeout(done, 100)))"


async def collect_warnings(page: Page) -> list[str]:
    """Return a list to which Chromium adds its warnings about the forms of a page."""
    found: list[str] = []
    devtools = await page.context.new_cdp_session(page)
    devtools.on("Log.entryAdded", lambda event: found.append(event["entry"]["text"]))
    await devtools.send("Log.enable")
    return found


@pytest.mark.parametrize("forms", [LOGGED_OUT, LOGGED_IN], ids=["logged out", "logged in"])
async def test_each_field_names_its_purpose_and_chromium_logs_no_warning(
    open_page: OpenPage, forms: dict[str, list[tuple[str, ...]]]
) -> None:
    page = await open_page()
    window, reset = page.context, ""
    email = await registered(window)
    if forms is LOGGED_OUT:
        await post(window, "/logout")
        await post(window, "/reset", email=email)
        reset = await mailed_link(window, "reset")
    found = await collect_warnings(page)

    for path, fields in forms.items():
        await page.goto(path.format(reset=reset))
        assert [tuple(field) for field in await page.locator(FIELDS).evaluate_all(DESCRIBE)] == fields, path
        for username in await page.locator("main form input[autocomplete=username][hidden]").all():
            assert await username.input_value() == email
        await page.evaluate(SETTLED)
        assert found == [], path


async def test_warnings_of_chromium_are_collected(open_page: OpenPage) -> None:
    page = await open_page()
    await page.route("**/login", lambda route: route.fulfill(body=BAD, content_type="text/html"))
    found = await collect_warnings(page)

    await page.goto("/login")
    await page.evaluate(SETTLED)

    for text in ("Password forms should have (optionally hidden)", "Input elements should have autocomplete"):
        assert any(text in warning for warning in found)


async def test_a_password_can_be_pasted(open_page: OpenPage) -> None:
    page = await open_page(permissions=["clipboard-read", "clipboard-write"])
    for path in ("/login", "/register", "/change", "/verify", "/account/delete"):
        if path == "/change":
            await registered(page.context)
        await page.goto(path)
        await page.evaluate("text => navigator.clipboard.writeText(text)", PASSWORD)
        for field in await page.locator("main input[type=password]").all():
            await field.focus()
            await page.keyboard.press("Control+V")
            await expect(field).to_have_value(PASSWORD)


async def test_a_password_that_is_shown_is_hidden_again_when_it_is_sent(
    page: Page, request: pytest.FixtureRequest
) -> None:
    await page.goto("/login")
    field, button = page.locator("#password"), page.locator(".reveal")
    if "without JavaScript" in request.node.name:
        await expect(button).to_be_hidden()
        return
    await page.fill("#email", "unknown@example.com")
    await page.fill("#password", PASSWORD)

    for name, kind in [("Show Password", "text"), ("Hide Password", "password"), ("Show Password", "text")]:
        await page.get_by_role("button", name=name).click()
        await expect(field).to_have_attribute("type", kind)
        await expect(field).to_have_value(PASSWORD)

    await page.evaluate(NOTE_TYPE)
    await fill(page)
    await expect(page.locator("#password-error")).to_be_visible()
    assert await page.evaluate("window.name") == "password"
