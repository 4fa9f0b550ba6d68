"""Every user can use every page in every state: dark and narrow, with large letters, in languages with longer words."""

import pytest

from support.accessibility import NARROW_DARK, WIDE_LIGHT, arm, check, enlarge, expect_none, take, violations
from support.browser_steps import signed_up
from support.page_states import ONE_OF_EACH, STATES, State
from support.visitor import Visitor

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]
WHEN_LOGGED_IN = (
    "/account",
    "/account/activity",
    "/account/delete",
    "/sessions",
    "/change-email",
    "/verify",
    "/dev/mailbox",
)


async def too_wide(visitor: Visitor) -> list[str]:
    """Return what does not fit into 320 pixels, or into a window with large letters."""
    await take(visitor.page, NARROW_DARK)
    narrow = await check(visitor.page, "width")
    await enlarge(visitor.page)
    return narrow + [f"large letters: {line}" for line in await check(visitor.page, "width")]


@pytest.mark.parametrize("state", STATES, ids=str)
async def test_every_user_can_use_the_page_in_every_look(state: State, visitor: Visitor) -> None:
    await state.come(visitor)
    page = visitor.page
    await arm(page)

    problems = await check(page, "structure", "errors", *(["refusal"] if state.status == 422 else []))
    for look in (WIDE_LIGHT, NARROW_DARK):
        await take(page, look)
        problems += [f"{look}: {line}" for line in await check(page, "width") + await violations(page)]
    expect_none(problems + await too_wide(visitor))


@pytest.mark.parametrize("visitor", ["de", "fr"], indirect=True)
@pytest.mark.parametrize("state", ONE_OF_EACH, ids=str)
async def test_longer_words_have_room_too(state: State, visitor: Visitor) -> None:
    await state.come(visitor)
    await arm(visitor.page, axe=False)

    expect_none(await too_wide(visitor))


async def test_a_dozen_languages_have_room(visitor: Visitor) -> None:
    await visitor.go("/")
    await visitor.page.evaluate("""() => {
        const last = document.querySelector("footer button:last-of-type");
        for (let more = 0; more < 12; more += 1) last.after(last.cloneNode(true));
    }""")
    await arm(visitor.page, axe=False)

    await take(visitor.page, WIDE_LIGHT)
    expect_none(await check(visitor.page, "width") + await too_wide(visitor))


async def test_a_long_e_mail_address_has_room(visitor: Visitor) -> None:
    visitor.email = f"{'ada' * 20}@{'lovelace' * 6}.example.com"
    await signed_up(visitor)

    problems = []
    for path in ("/", *WHEN_LOGGED_IN):
        await visitor.go(path)
        await arm(visitor.page, axe=False)
        await take(visitor.page, NARROW_DARK)
        problems += [f"{path}: {line}" for line in await check(visitor.page, "width")]
    expect_none(problems)
