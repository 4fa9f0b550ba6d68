"""Each page in a real browser, and the main actions of a user. Further tests in browsers are in starter/."""

import re

import pytest
from playwright.async_api import Page, expect

from support.accessibility import WIDE_LIGHT, arm, check, expect_none, take, violations
from support.app import ROOT
from support.browser_user import BrowserUser
from support.browsers import PASSWORD, fill
from support.journeys import LOG_IN, OpenBrowser, new_email, start_session
from support.page_states import ONE_OF_EACH, STATES, State

TEMPLATES = [ROOT / "src/app/templates", *(ROOT / "src/app/features").glob("*/templates")]
NO_PAGES = ("emails/", "layout_sections/", "layout.html", "macros.html")
PHONE = "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0"
BAD = """<!doctype html>
<html><head><title>Bad</title></head><body><main>
<h1>One</h1><h1>Two</h1><p id="same" style="color: #aaa">Faint</p><p id="same">And again</p>
<form><input id="email" aria-invalid="true" aria-describedby="nothing"><small class="error">Wrong.</small></form>
<div style="width: 2000px">Wide</div>
<button aria-label="A" style="width: 9px"></button><button aria-label="B" style="width: 9px"></button>
</main></body></html>"""


def test_every_page_is_among_the_states() -> None:
    files = {str(path.relative_to(folder)) for folder in TEMPLATES for path in folder.rglob("*.html")}
    pages = {name for name in files if not name.startswith(NO_PAGES) and "/_" not in name}  # _part.html is included

    assert {state.template for state in STATES} == pages, "each page needs a State in tests/support/page_states.py"


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("state", ONE_OF_EACH, ids=str)
async def test_every_user_can_use_the_page(state: State, browser_user: BrowserUser) -> None:
    await state.come(browser_user)
    page = browser_user.page
    await arm(page)

    problems = await check(page, "structure", "errors", *(["refusal"] if state.status == 422 else []))
    await take(page, WIDE_LIGHT)
    expect_none(problems + await check(page, "width") + await violations(page))


@pytest.mark.asyncio(loop_scope="session")
async def test_a_page_with_errors_is_reported(browser_user: BrowserUser) -> None:
    page = browser_user.page
    await page.set_content(BAD)
    await arm(page)
    await take(page, WIDE_LIGHT)

    assert [line.split(":")[0] for line in await check(page, "structure", "errors", "refusal", "width")] == [
        "2 h1",
        "no lang",
        "two elements are #same",
        "input#email has no label",
        "input#email is described by no #nothing",
        "input#email does not say what is wrong",
        '"Wrong." is tied to no field that is aria-invalid',
        "the focus is on the body, not on input#email",
        'the title is "Bad"',
        "728 px wider than its window",
    ]
    rules = {line.split(" ")[0] for line in await violations(page)}
    assert rules == {"color-contrast", "html-has-lang", "label", "label-title-only", "target-size"}


@pytest.mark.asyncio(loop_scope="session")
async def test_a_user_registers_logs_in_again_changes_the_password_and_ends_a_session(
    page: Page, another_browser: OpenBrowser
) -> None:
    phone, email = await another_browser(user_agent=PHONE), new_email()
    await page.goto("/register")
    await fill(page, email=email, password=PASSWORD, password_confirm=PASSWORD)
    await expect(page.get_by_role("status").first).to_have_text("Welcome! Your account was created.")

    await page.get_by_role("button", name="Log out").click()
    await expect(page.locator(LOG_IN)).to_be_visible()
    await page.goto("/change")
    await fill(page, email=email, password=PASSWORD)
    await expect(page).to_have_url(re.compile(r"/change$"))
    await fill(page, password=PASSWORD, new_password="another horse", new_password_confirm="another horse")
    await expect(page.get_by_role("status").first).to_contain_text("Your password was changed")

    await start_session(phone.context, email, "another horse")
    await page.goto("/sessions")
    await page.get_by_role("button", name=re.compile("^End session: Firefox on Android")).click()
    await expect(page.get_by_text("There are no other sessions.")).to_be_visible()
    await phone.goto("/")
    await expect(phone.locator(LOG_IN)).to_be_visible()
