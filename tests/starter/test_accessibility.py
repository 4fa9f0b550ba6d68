"""Every user can use every page in every state: dark and narrow, with large text, with only the keyboard."""

import pytest
from playwright.async_api import Page

from app.default_config import LANGUAGES
from support.accessibility import (
    MEDIA,
    NARROW_DARK,
    WIDE_LIGHT,
    arm,
    check,
    enlarge,
    expect_none,
    focus_each,
    tab,
    take,
    violations,
    walk,
)
from support.app import MAILBOX
from support.browser_user import BrowserUser
from support.page_states import ONE_OF_EACH, STATES, State, registered

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]
OWN = ("/", "/account", "/account/activity", "/account/delete", "/sessions", "/change-email", "/verify", MAILBOX)
BAD = """<!doctype html><title>Bad</title>
<style>.flat:focus { outline: none }
.clear:focus { outline: 2px solid transparent } .under { position: fixed; top: 0 }</style>
<main><button class="flat">Flat</button> <button class="clear">Clear</button> <button tabindex="1">First</button>
<button class="under">Under</button><header style="position: fixed; inset: 0 0 auto; height: 3rem">Over</header>
<button style="margin-top: 9rem" onkeydown="event.preventDefault()">Trap</button> <button>Never</button></main>"""


async def too_wide(browser_user: BrowserUser) -> list[str]:
    """Return the elements that do not fit into 320 pixels, or into a window with large text."""
    await take(browser_user.page, NARROW_DARK)
    narrow = await check(browser_user.page, "width")
    await enlarge(browser_user.page)
    return narrow + [f"large text: {line}" for line in await check(browser_user.page, "width")]


@pytest.mark.parametrize("state", STATES, ids=str)
async def test_every_user_can_use_the_page_in_every_look(state: State, browser_user: BrowserUser) -> None:
    await state.come(browser_user)
    page = browser_user.page
    await arm(page)

    problems = await check(page, "structure", "errors", *(["refusal"] if state.status == 422 else []))
    for look in (WIDE_LIGHT, NARROW_DARK):
        await take(page, look)
        problems += [f"{look}: {line}" for line in await check(page, "width") + await violations(page)]
    expect_none(problems + await too_wide(browser_user))


@pytest.mark.parametrize("browser_user", LANGUAGES[1:], indirect=True)
@pytest.mark.parametrize("state", ONE_OF_EACH, ids=str)
async def test_longer_words_fit_too(state: State, browser_user: BrowserUser) -> None:
    await state.come(browser_user)
    await arm(browser_user.page, axe=False)

    expect_none(await too_wide(browser_user))


@pytest.mark.parametrize("browser_user", LANGUAGES[1:2], indirect=True)
async def test_a_dozen_languages_fit_into_the_footer(browser_user: BrowserUser) -> None:
    await browser_user.go("/")
    await browser_user.page.evaluate("""() => {
        const last = document.querySelector("footer button:last-of-type");
        for (let more = 0; more < 12; more += 1) last.after(last.cloneNode(true));
    }""")
    await arm(browser_user.page, axe=False)

    await take(browser_user.page, WIDE_LIGHT)
    expect_none(await check(browser_user.page, "width") + await too_wide(browser_user))


async def test_a_long_e_mail_address_fits(browser_user: BrowserUser) -> None:
    browser_user.email = f"{'ada' * 20}@{'lovelace' * 6}.example.com"
    await registered(browser_user)

    problems = []
    for path in OWN:
        await browser_user.go(path)
        await arm(browser_user.page, axe=False)
        await take(browser_user.page, NARROW_DARK)
        problems += [f"{path}: {line}" for line in await check(browser_user.page, "width")]
    expect_none(problems)


@pytest.mark.parametrize("state", ONE_OF_EACH, ids=str)
async def test_the_keyboard_reaches_everything_and_focus_is_visible(state: State, browser_user: BrowserUser) -> None:
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
    assert shown == dict.fromkeys(MEDIA, shown["light"])  # nothing disappears with other colors or reduced motion

    if any(stop.in_main for stop in found):
        await check_skip_link(browser_user.page)


async def check_skip_link(page: Page) -> None:
    """Check that the first element in the tab order is a link that skips the navigation."""
    await page.evaluate("pageChecks.rewind()")
    skip_link = await tab(page)
    await page.keyboard.press("Enter")
    after = await tab(page)

    assert skip_link is not None
    assert (skip_link.seen, skip_link.in_main) == (True, False)
    assert after is not None
    assert after.in_main


async def test_the_walk_finds_obstacles_for_the_keyboard(browser_user: BrowserUser) -> None:
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
