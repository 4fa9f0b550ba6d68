"""docs/pages.md, done to a copy of the site: what it says works."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser

from browsers import PASSWORD, fill
from conftest import ROOT, serving
from site_process import Site, running_copy

TEXT = (ROOT / "docs/pages.md").read_text()
FILE = re.compile(r"^`(src/[^`]+)`:\n\n```\w+\n(.*?)```", re.MULTILINE | re.DOTALL)
FACTORY = re.compile(r"`src/app/app_factory\.py` one line .*?```python\n(.*?)\n+(.*?)\n```", re.DOTALL)
STYLE = re.compile(r"```css\n(.*?)```", re.DOTALL)
OFF = re.compile(r"^\| `(\w+) = False` \|", re.MULTILINE)


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The site with all that the page says done to it."""
    root: Path = tmp_path_factory.mktemp("copy")
    for name in ("src", "alembic"):
        shutil.copytree(ROOT / name, root / name)
    for name in ("run.py", "pyproject.toml"):
        shutil.copy(ROOT / name, root)
    add_page(root)
    with (root / "src/app/static/css/main.css").open("a") as css:
        css.write(STYLE.findall(TEXT)[0])
    with running_copy(root, tmp_path_factory.mktemp("instance")) as site:
        yield site


def add_page(root: Path) -> None:
    for path, content in FILE.findall(TEXT):
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(content)
    ((importing, registering),) = FACTORY.findall(TEXT)
    factory = root / "src/app/app_factory.py"
    lines = factory.read_text().replace("from app.views.links_bp", f"{importing}\nfrom app.views.links_bp")
    factory.write_text(lines.replace("    optional = {", f"    {registering}\n    optional = {{"))


def test_a_page_that_was_added_is_for_who_is_logged_in(changed: Site) -> None:
    with httpx.Client(base_url=changed.url, follow_redirects=True) as client:
        assert client.get("/notes").url.path == "/login"
        form = {"email": "ada@example.com", "password": PASSWORD, "password_confirm": PASSWORD, "next": "/notes"}

        answer = client.post("/register", data=form)

    assert (answer.status_code, answer.url.path) == (200, "/notes")
    assert "<h1>Notes</h1>" in answer.text
    assert "These are the notes of ada@example.com." in answer.text


@pytest.mark.asyncio(loop_scope="module")
async def test_two_variables_restyle_the_pages(browser: Browser, changed: Site) -> None:
    page = await browser.new_page(base_url=changed.url)
    await page.goto("/login")
    button, link = page.locator("main form button:not(.reveal)"), page.locator("main p a").first

    colours = [await each.evaluate("element => getComputedStyle(element).color") for each in (button, link)]
    background = await button.evaluate("element => getComputedStyle(element).backgroundColor")
    await fill(page, email="nobody@example.com", password="wrong")
    await page.close()

    assert colours == ["rgb(255, 255, 255)", "rgb(122, 31, 92)"]
    assert background == "rgb(122, 31, 92)"


@pytest.mark.parametrize("setting", OFF.findall(TEXT))
async def test_what_is_switched_off_is_gone(settings: dict[str, Any], setting: str) -> None:
    path = {"SECURITY_REGISTERABLE": "/register", "SECURITY_CHANGEABLE": "/change", "SECURITY_RECOVERABLE": "/reset"}
    async with serving(settings | {setting: False}) as app:
        client = app.test_client()
        pages = [await (await client.get(at)).get_data(as_text=True) for at in ("/", "/login")]

        assert (await client.get(path[setting])).status_code == 404
    assert not any(f'href="{path[setting]}"' in page for page in pages)


async def test_one_language_leaves_nothing_to_choose(settings: dict[str, Any]) -> None:
    async with serving(settings | {"LANGUAGES": ("en",)}) as app:
        answer = await app.test_client().get("/", headers={"Accept-Language": "de"})
        text = await answer.get_data(as_text=True)

    assert '<html lang="en">' in text
    assert "/language" not in text
