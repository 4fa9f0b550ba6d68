"""The keyboard alone reaches everything, and the focus is always visible."""

import pytest
from playwright.async_api import Page

from support.accessibility import MEDIA, arm, check, expect_none, focus_each, tab, walk
from support.browser_user import BrowserUser
from support.page_states import STATES, State

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]

SOME = {
    "front page of a user",
    "login",
    "registration with nothing, refused",
    "account after saving",
    "sessions",
    "mailbox",
    "no such page",
}
BAD = """<!doctype html><title>Bad</title>
<style>.flat:focus { outline: none }
.clear:focus { outline: 2px solid transparent } .under { position: fixed; top: 0 }</style>
<main><button class="flat">Flat</button> <button class="clear">Clear</button> <button tabindex="1">First</button>
<button class="under">Under</button><header style="position: fixed; inset: 0 0 auto; height: 3rem">Over</header>
<button style="margin-top: 9rem" onkeydown="event.preventDefault()">Trap</button> <button>Never</button></main>"""


@pytest.mark.parametrize("state", [state for state in STATES if state.name in SOME], ids=str)
async def test_the_keyboard_reaches_everything_and_the_focus_is_seen(state: State, browser_user: BrowserUser) -> None:
    await state.come(browser_user)
    await arm(browser_user.page, axe=False)

    names, (*stops, beyond) = await walk(browser_user.page)
    found = [stop for stop in stops if stop]
    assert [stop.name for stop in found] == names
    assert beyond is None or beyond.name == names[0]
    problems = [f"by Tab: {stop.problem}" for stop in found if stop.problem]

    shown = {}
    for medium, settings in MEDIA.items():
        await browser_user.page.emulate_media(**settings)
        shown[medium] = await check(browser_user.page, "shown")
        problems += [f"{medium}: {stop.problem}" for stop in await focus_each(browser_user.page) if stop.problem]
    expect_none(problems)
    assert shown["light"] != []
    assert shown == dict.fromkeys(MEDIA, shown["light"])  # nothing vanishes with other colours or less motion

    await is_led_past_the_navigation(browser_user.page)


async def is_led_past_the_navigation(page: Page) -> None:
    """Check that the first stop is a link into the main part."""
    await page.evaluate("pageChecks.rewind()")
    skip_link = await tab(page)
    await page.keyboard.press("Enter")
    after = await tab(page)

    assert skip_link is not None
    assert (skip_link.seen, skip_link.in_main) == (True, False)
    assert after is not None
    assert after.in_main


async def test_the_walk_finds_what_stands_in_the_way_of_the_keyboard(browser_user: BrowserUser) -> None:
    await browser_user.page.set_content(BAD)
    await arm(browser_user.page, axe=False)

    names, stops = await walk(browser_user.page)

    assert [name.split('"')[1] for name in names] == ["Flat", "Clear", "First", "Under", "Trap", "Never"]
    found = [stop for stop in stops if stop]
    assert [stop.name.split('"')[1] for stop in found] == ["Flat", "Clear", "Under", "Trap", "Trap", "Trap", "Trap"]
    assert [stop.problem for stop in found if stop.problem] == [
        'the focus on button "Flat" cannot be seen: nothing is drawn',
        'the focus on button "Clear" cannot be seen: nothing is drawn',
        'button "Under" lies outside of the window, or under something',
    ]
