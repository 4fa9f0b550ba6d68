"""The steps of the tutorial and of two how-to guides work, in a copy of the site."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory

from support.app import ROOT, serving
from support.browsers import OpenPage
from support.site_process import Site, running_copy

TUTORIAL = (ROOT / "docs/tutorial.md").read_text()
LOOK = (ROOT / "docs/how-to/change-the-look.md").read_text()
SWITCHES = (ROOT / "docs/how-to/switch-off-a-feature.md").read_text()
FILE = re.compile(r"^`((?:src|alembic|tests)/[^`]+)`:\n\n```\w+\n(.*?)```", re.MULTILINE | re.DOTALL)
IMPORT = re.compile(r"`(src/app/[^`]+)` one line .*?```python\n(.*?)\n```", re.DOTALL)
REVISION_BEFORE = re.compile(r"(?<=Follows: )\w{12}|(?<=down_revision = \")\w{12}")
STYLE = re.compile(r"```css\n(.*?)```", re.DOTALL)
OFF = re.compile(r"^\| `(\w+) = False` \|", re.MULTILINE)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the site with the notes of the tutorial."""
    root, head = tmp_path_factory.mktemp("copy"), str(ScriptDirectory(str(ROOT / "alembic")).get_current_head())
    for name in ("src", "alembic", "tests", "docs"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "starter"))
    for name in ("run.py", "pyproject.toml", "alembic.ini", "conftest.py"):
        shutil.copy(ROOT / name, root)
    for path, content in FILE.findall(TUTORIAL):
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(REVISION_BEFORE.sub(head, content))
    for path, line in IMPORT.findall(TUTORIAL):
        text = (root / path).read_text()
        first = text.index("from app.models.rate_limit" if "models" in path else "from app.views.password_change_bp")
        text = f"{text[:first]}{line}\n{text[first:]}".replace('"RateLimit",', '"Note", "RateLimit",')
        (root / path).write_text(text.replace("BLUEPRINTS = (\n", "BLUEPRINTS = (\n    notes_bp,\n", 1))
    with (root / "src/app/static/css/main.css").open("a") as css:
        css.write(STYLE.findall(LOOK)[0])
    return root


@pytest.fixture(scope="module")
def changed(copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_copy(copy, tmp_path_factory.mktemp("instance")) as site:
        yield site


@pytest.mark.long
@pytest.mark.parametrize(
    "command", ["pytest -q tests/test_notes.py tests/test_architecture.py", "ruff check", "ruff format --check"]
)
def test_the_code_of_the_tutorial_passes_its_tests_and_the_linter(copy: Path, command: str) -> None:
    words = [sys.executable, "-m", *command.split()]
    done = subprocess.run(words, cwd=copy, env={"PATH": "", "PYTHONPATH": "src"}, capture_output=True, check=False)

    assert done.returncode == 0, done.stdout.decode()


@pytest.mark.long
@pytest.mark.asyncio(loop_scope="session")
async def test_two_variables_restyle_the_pages(open_page: OpenPage, changed: Site) -> None:
    page = await open_page(base_url=changed.url)
    await page.goto("/login")
    button, link = page.locator("main form button:not(.reveal)"), page.locator("main p a").first

    colours = [await each.evaluate("element => getComputedStyle(element).color") for each in (button, link)]
    background = await button.evaluate("element => getComputedStyle(element).backgroundColor")

    assert colours == ["rgb(255, 255, 255)", "rgb(122, 31, 92)"]
    assert background == "rgb(122, 31, 92)"


@pytest.mark.long
@pytest.mark.asyncio(loop_scope="session")
async def test_a_file_button_and_a_row_of_three_items_look_like_the_rest(open_page: OpenPage) -> None:
    page = await open_page(viewport={"width": 1280, "height": 900})
    await page.goto("/login")
    await page.evaluate("""document.querySelector("main").innerHTML = `<input type="file">
        <ul class="rows"><li><b>A title</b> <i>Private</i> <button class="quiet">Delete</button></li></ul>`""")

    button = "getComputedStyle(document.querySelector('input'), '::file-selector-button')"
    colours = await page.evaluate(f"[{button}.color, {button}.backgroundColor]")
    assert colours == ["rgb(28, 36, 44)", "rgb(255, 255, 255)"]
    gap = """(({left}, {right}) => left - right)(
        ...["button", "i"].map((tag) => document.querySelector(`ul.rows ${tag}`).getBoundingClientRect()))"""
    assert await page.evaluate(gap) < 20  # pixels


async def test_a_part_that_is_switched_off_has_no_route_and_no_link(settings: dict[str, Any]) -> None:
    path = {"SECURITY_REGISTERABLE": "/register", "SECURITY_CHANGEABLE": "/change", "SECURITY_RECOVERABLE": "/reset"}
    assert set(OFF.findall(SWITCHES)) == set(path)
    async with serving(settings | dict.fromkeys(path, False)) as app:
        client = app.test_client()
        pages = [await (await client.get(at)).get_data(as_text=True) for at in ("/", "/login")]

        assert [(await client.get(at)).status_code for at in path.values()] == [404] * 3
    assert [at for at in path.values() for page in pages if f'href="{at}"' in page] == []
