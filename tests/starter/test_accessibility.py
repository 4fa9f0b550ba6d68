"""Every user can use every page in every state: dark and narrow, with large letters, in languages with longer words."""

import pytest

from support.accessibility import NARROW_DARK, WIDE_LIGHT, arm, check, enlarge, expect_none, take, violations
from support.browser_user import BrowserUser
from support.page_states import ONE_OF_EACH, STATES, State, signed_up

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]
OWN = ("/", "/account", "/account/activity", "/account/delete", "/sessions", "/change-email", "/verify", "/dev/mailbox")


async def too_wide(browser_user: BrowserUser) -> list[str]:
    """Return what does not fit into 320 pixels, or into a window with large letters."""
    await take(browser_user.page, NARROW_DARK)
    narrow = await check(browser_user.page, "width")
    await enlarge(browser_user.page)
    return narrow + [f"large letters: {line}" for line in await check(browser_user.page, "width")]


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


@pytest.mark.parametrize("browser_user", ["de", "fr"], indirect=True)
@pytest.mark.parametrize("state", ONE_OF_EACH, ids=str)
async def test_longer_words_have_room_too(state: State, browser_user: BrowserUser) -> None:
    await state.come(browser_user)
    await arm(browser_user.page, axe=False)

    expect_none(await too_wide(browser_user))


async def test_a_dozen_languages_have_room(browser_user: BrowserUser) -> None:
    await browser_user.go("/")
    await browser_user.page.evaluate("""() => {
        const last = document.querySelector("footer button:last-of-type");
        for (let more = 0; more < 12; more += 1) last.after(last.cloneNode(true));
    }""")
    await arm(browser_user.page, axe=False)

    await take(browser_user.page, WIDE_LIGHT)
    expect_none(await check(browser_user.page, "width") + await too_wide(browser_user))


async def test_a_long_e_mail_address_has_room(browser_user: BrowserUser) -> None:
    browser_user.email = f"{'ada' * 20}@{'lovelace' * 6}.example.com"
    await signed_up(browser_user)

    problems = []
    for path in OWN:
        await browser_user.go(path)
        await arm(browser_user.page, axe=False)
        await take(browser_user.page, NARROW_DARK)
        problems += [f"{path}: {line}" for line in await check(browser_user.page, "width")]
    expect_none(problems)
