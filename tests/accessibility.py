"""What holds for every page, whoever uses it: axe's rules, and what axe does not look at."""

from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest
from playwright.async_api import Page

HERE = Path(__file__).parent
AXE = (HERE / "vendor/axe-core/axe.min.js").read_text()
CHECKS = (HERE / "page_checks.js").read_text()
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN_AXE = "tags => axe.run(document, {runOnly: {type: 'tag', values: tags}, resultTypes: ['violations']})"
HEIGHT = 800


class Look(NamedTuple):
    """How wide a window is, in CSS pixels, and which colours its owner likes."""

    width: int
    scheme: Literal["light", "dark"]


ORDINARY: dict[str, Any] = {"color_scheme": "light", "reduced_motion": "no-preference", "forced_colors": "none"}
# Besides light and dark: what people set who are made sick by what moves, or who choose every colour themselves.
MEDIA = {
    "light": ORDINARY,
    "dark": ORDINARY | {"color_scheme": "dark"},
    "less motion": ORDINARY | {"reduced_motion": "reduce"},
    "own colours": ORDINARY | {"forced_colors": "active"},
}
LOOKS = [Look(1280, "light"), Look(320, "dark")]  # what is wrong with a colour is wrong in every width


async def arm(page: Page, *, axe: bool = True) -> None:
    """Bring axe and our own checks into the page that is open."""
    if axe:
        await page.evaluate(AXE)
    await page.evaluate(CHECKS)


async def check(page: Page, what: str) -> list[str]:
    problems: list[str] = await page.evaluate(f"pageChecks.{what}()")
    return problems


def expect_none(problems: list[str]) -> None:
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


async def take(page: Page, look: Look) -> None:
    """Look at the page that is open in another way."""
    await page.set_viewport_size({"width": look.width, "height": HEIGHT})
    await page.emulate_media(color_scheme=look.scheme, reduced_motion="reduce")
    await page.evaluate("pageChecks.settle()")


async def enlarge(page: Page) -> None:
    """Have letters twice as large, as a person sets it in the browser, in a window that is 640 wide."""
    await page.set_viewport_size({"width": 640, "height": HEIGHT})
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("Page.setFontSizes", {"fontSizes": {"standard": 32, "fixed": 26}})


async def violations(page: Page) -> list[str]:
    """Return what axe finds, a line for each element."""
    found: dict[str, Any] = await page.evaluate(RUN_AXE, RULES)
    return [told(rule, node) for rule in found["violations"] for node in rule["nodes"]]


def told(rule: dict[str, Any], node: dict[str, Any]) -> str:
    target = " ".join(str(part) for part in node["target"])
    reasons = "; ".join(line.strip() for line in node["failureSummary"].splitlines()[1:])
    return f"{rule['id']} ({rule['impact']}) at {target}: {reasons}"


class Stop(NamedTuple):
    """An element that the Tab key leads to, and how it shows that it has the focus."""

    name: str
    marked: bool
    seen: bool
    look: str
    in_main: bool

    @property
    def problem(self) -> str | None:
        if not self.seen:
            return f"{self.name} lies outside of the window, or under something"
        return None if self.marked else f"the focus on {self.name} cannot be seen: {self.look or 'nothing is drawn'}"


async def tab(page: Page) -> Stop | None:
    """Press Tab, and return where that leads: out of the page after its last element."""
    await page.keyboard.press("Tab")
    stop = await page.evaluate("pageChecks.focused()")
    return Stop(**stop) if stop else None


async def walk(page: Page) -> tuple[list[str], list[Stop | None]]:
    """Return all that can take the focus, in the page's order, and where as many presses of Tab lead, and one more."""
    all_of_it: list[str] = await page.evaluate("pageChecks.rewind()")
    return all_of_it, [await tab(page) for _ in range(len(all_of_it) + 1)]


async def focus_each(page: Page) -> list[Stop]:
    """Give the focus to all that can take it, as it is after a key was pressed."""
    return [Stop(**stop) for stop in await page.evaluate("pageChecks.each()")]
