"""Everything can be reached with the keyboard alone, and one always sees where one is."""

import pytest

from accessibility import MEDIA, arm, check, expect_none, focus_each, tab, walk
from page_states import STATES, State
from visitor import Visitor

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOME = {
    "front page of a person",
    "log-in",
    "registration with nothing, refused",
    "account after saving",
    "log-ins",
    "mailbox",
    "no such page",
}
BAD = """<!doctype html><title>Bad</title>
<style>.flat:focus { outline: none }
.clear:focus { outline: 2px solid transparent } .under { position: fixed; top: 0 }</style>
<main><button class="flat">Flat</button> <button class="clear">Clear</button> <button tabindex="1">First</button>
<button class="under">Under</button><header style="position: fixed; inset: 0 0 auto; height: 3rem">Over</header>
<button style="margin-top: 9rem" onkeydown="event.preventDefault()">Trap</button> <button>Never</button></main>"""
a_state = pytest.mark.parametrize("state", [state for state in STATES if state.name in SOME], ids=str)


@a_state
async def test_tab_leads_through_the_page_and_shows_where_one_is(state: State, visitor: Visitor) -> None:
    await state.come(visitor)
    await arm(visitor.page, axe=False)

    names, (*stops, beyond) = await walk(visitor.page)

    found = [stop for stop in stops if stop]
    assert [stop.name for stop in found] == names
    assert beyond is None or beyond.name == names[0]
    problems = [f"by Tab: {stop.problem}" for stop in found if stop.problem]
    for medium, settings in MEDIA.items():
        await visitor.page.emulate_media(**settings)
        problems += [f"{medium}: {stop.problem}" for stop in await focus_each(visitor.page) if stop.problem]
    expect_none(problems)


@a_state
async def test_the_first_stop_leads_past_the_navigation(state: State, visitor: Visitor) -> None:
    await state.come(visitor)
    await arm(visitor.page, axe=False)
    await visitor.page.evaluate("pageChecks.rewind()")

    skip_link = await tab(visitor.page)
    await visitor.page.keyboard.press("Enter")
    after = await tab(visitor.page)

    assert skip_link is not None
    assert skip_link.seen
    assert not skip_link.in_main
    assert after is not None
    assert after.in_main


@a_state
async def test_nothing_vanishes_for_those_who_choose_colours_or_want_less_motion(
    state: State, visitor: Visitor
) -> None:
    await state.come(visitor)
    await arm(visitor.page, axe=False)

    shown = {}
    for medium, settings in MEDIA.items():
        await visitor.page.emulate_media(**settings)
        shown[medium] = await check(visitor.page, "shown")

    assert shown["light"] != []
    assert shown == dict.fromkeys(MEDIA, shown["light"])


async def test_what_stands_in_the_way_of_the_keyboard_is_found(visitor: Visitor) -> None:
    await visitor.page.set_content(BAD)
    await arm(visitor.page, axe=False)

    names, stops = await walk(visitor.page)

    assert [name.split('"')[1] for name in names] == ["Flat", "Clear", "First", "Under", "Trap", "Never"]
    found = [stop for stop in stops if stop]
    assert [stop.name.split('"')[1] for stop in found] == ["Flat", "Clear", "Under", "Trap", "Trap", "Trap", "Trap"]
    assert [stop.problem for stop in found if stop.problem] == [
        'the focus on button "Flat" cannot be seen: nothing is drawn',
        'the focus on button "Clear" cannot be seen: nothing is drawn',
        'button "Under" lies outside of the window, or under something',
    ]
