"""What holds for every page and every user: the rules of axe, and what axe does not look at."""

from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest
from playwright.async_api import Page

HERE = Path(__file__).parent
AXE = (HERE.parent / "vendor/axe-core/axe.min.js").read_text()
CHECKS = (HERE / "page_checks.js").read_text()
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN_AXE = "tags => axe.run(document, {runOnly: {type: 'tag', values: tags}, resultTypes: ['violations']})"
HEIGHT = 800
MAX_PARTS = 8  # of a field for a date and time, with the button of its calendar


class Look(NamedTuple):
    """The width of a window in CSS pixels, and the colours that its user prefers."""

    width: int
    scheme: Literal["light", "dark"]


WIDE_LIGHT, NARROW_DARK = Look(1280, "light"), Look(320, "dark")  # 320 wide is a window of 640 at a zoom of 200 %
ORDINARY: dict[str, Any] = {"color_scheme": "light", "reduced_motion": "no-preference", "forced_colors": "none"}
# Besides light and dark: the settings of users whom motion makes sick, and of users who choose every colour.
MEDIA = {
    "light": ORDINARY,
    "dark": ORDINARY | {"color_scheme": "dark"},
    "less motion": ORDINARY | {"reduced_motion": "reduce"},
    "own colours": ORDINARY | {"forced_colors": "active"},
}


async def arm(page: Page, *, axe: bool = True) -> None:
    """Bring axe and our own checks into the page that is open."""
    await page.evaluate(f"{AXE if axe else ''};{CHECKS}")


async def check(page: Page, *names: str) -> list[str]:
    """Return what these functions of page_checks.js find."""
    return [problem for name in names for problem in await page.evaluate(f"pageChecks.{name}()")]


def expect_none(problems: list[str]) -> None:
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


async def take(page: Page, look: Look) -> None:
    """Show the page that is open in this look."""
    await page.set_viewport_size({"width": look.width, "height": HEIGHT})
    await page.emulate_media(color_scheme=look.scheme, reduced_motion="reduce")
    await page.evaluate("pageChecks.settle()")


async def enlarge(page: Page) -> None:
    """Make letters twice as large, as a user sets it in the browser, in a window that is 640 wide."""
    await page.set_viewport_size({"width": 640, "height": HEIGHT})
    await set_font_sizes(page, standard=32, fixed=26)


async def look_ordinary(page: Page) -> None:
    """Undo what the functions above have changed."""
    await page.set_viewport_size({"width": WIDE_LIGHT.width, "height": HEIGHT})
    await page.emulate_media(**ORDINARY)
    await set_font_sizes(page, standard=16, fixed=13)


async def set_font_sizes(page: Page, **sizes: int) -> None:
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("Page.setFontSizes", {"fontSizes": sizes})
    await devtools.detach()


async def violations(page: Page) -> list[str]:
    """Return what axe finds, a line for each element."""
    found: dict[str, Any] = await page.evaluate(RUN_AXE, RULES)
    return [described(rule, node) for rule in found["violations"] for node in rule["nodes"]]


def described(rule: dict[str, Any], node: dict[str, Any]) -> str:
    target = " ".join(str(part) for part in node["target"])
    reasons = "; ".join(line.strip() for line in node["failureSummary"].splitlines()[1:])
    return f"{rule['id']} ({rule['impact']}) at {target}: {reasons}"


class Stop(NamedTuple):
    """An element that the Tab key leads to, and how it shows the focus."""

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
    """Return all that can take the focus, in the order of the page, and where as many presses of Tab lead, plus one."""
    names: list[str] = await page.evaluate("pageChecks.rewind()")
    return names, [await leave_and_tab(page) for _ in range(len(names) + 1)]


async def leave_and_tab(page: Page) -> Stop | None:
    """Press Tab, several times if the focus is on a date: its day, month and year are reached one after the other."""
    left: str | None = await page.evaluate("pageChecks.dateInFocus()")
    stop = await tab(page)
    for _ in range(MAX_PARTS):
        if stop is None or stop.name != left:
            break
        stop = await tab(page)
    return stop


async def focus_each(page: Page) -> list[Stop]:
    """Give the focus to all that can take it, as after a key was pressed."""
    return [Stop(**stop) for stop in await page.evaluate("pageChecks.each()")]
