"""Everybody can use every page: axe-core's rules, narrow windows, large letters, errors told where they are."""

import pytest

from accessibility import LOOKS, arm, check, enlarge, expect_none, take, violations
from conftest import ROOT
from page_states import ONE_OF_EACH, STATES, State
from visitor import Visitor

BAD = """<!doctype html>
<html><head><title>Bad</title></head><body><main>
<h1>One</h1><h1>Two</h1><p id="same" style="color: #aaa">Faint</p><p id="same">And again</p>
<form><input id="email" aria-invalid="true" aria-describedby="nothing"><small class="error">Wrong.</small></form>
<div style="width: 2000px">Wide</div>
<button aria-label="A" style="width: 9px"></button><button aria-label="B" style="width: 9px"></button>
</main></body></html>"""
TEMPLATES = ROOT / "src/app/templates"
NO_PAGES = ("mails/", "layout_sections/", "layout.html", "macros.html")


def test_every_page_is_among_the_states() -> None:
    pages = {str(path.relative_to(TEMPLATES)) for path in TEMPLATES.rglob("*.html")}

    assert {state.template for state in STATES} == {page for page in pages if not page.startswith(NO_PAGES)}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("state", STATES, ids=str)
async def test_everybody_can_use_the_page(state: State, visitor: Visitor) -> None:
    await state.come(visitor)
    page = visitor.page
    await arm(page)

    problems = await check(page, "structure") + await check(page, "errors")
    if state.status == 422:
        problems += await check(page, "refusal")
    for look in LOOKS:
        await take(page, look)
        problems += [
            f"{look.width} px, {look.scheme}: {line}" for line in await check(page, "width") + await violations(page)
        ]
    await enlarge(page)
    problems += [f"large letters: {line}" for line in await check(page, "width")]

    expect_none(problems)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("visitor", ["de", "fr"], indirect=True)
@pytest.mark.parametrize("state", ONE_OF_EACH, ids=str)
async def test_longer_words_have_room_too(state: State, visitor: Visitor) -> None:
    await state.come(visitor)
    await arm(visitor.page, axe=False)

    await take(visitor.page, LOOKS[-1])
    problems = await check(visitor.page, "width")
    await enlarge(visitor.page)
    expect_none(problems + await check(visitor.page, "width"))


@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_wrong_with_a_page_is_found(visitor: Visitor) -> None:
    page = visitor.page
    await page.set_content(BAD)
    await arm(page)
    await take(page, LOOKS[0])

    found = [line for what in ("structure", "errors", "refusal", "width") for line in await check(page, what)]
    assert [line.split(":")[0] for line in found] == [
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
