"""The tests, settings and files that the documentation names exist."""

import ast
import re
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from app.cli import COMMANDS
from support.app import DEFAULTS, ROOT

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
NAMED = re.compile(r"(?:((?:tests/[\w/]*)?test_\w+\.py))?::(test_\w+)|(tests/[\w/]+\.py)")
SETTING = re.compile(r"\b((?:RATE_LIMIT|SECURITY|SESSION|REMEMBER|TRUSTED|LOG|DATABASE)_[A-Z_]*[A-Z])\b")
CODE = re.compile(r"`([^`\n]+)`")
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def test_every_test_that_is_named_exists() -> None:
    file, missing = "", []
    for page in PAGES:
        if page.name == "remove-a-part.md":  # this page names tests that are removed
            continue
        for match in NAMED.finditer(page.read_text()):
            file = match[1] or match[3] or file
            if file == "tests/test_notes.py":  # the file that the tutorial adds
                continue
            path = (ROOT if file.startswith("tests/") else ROOT / f"src/app/features/{page.stem}/tests") / file
            if not path.exists() or (match[2] and f"def {match[2]}(" not in path.read_text()):
                missing.append(f"{page.name}: {file}::{match[2]}")

    assert missing == []


def test_every_setting_that_is_named_exists_and_every_setting_has_a_row() -> None:
    named = {(page.name, name) for page in PAGES for name in SETTING.findall(page.read_text())}
    tables = [ROOT / "docs/reference/settings.md", *(ROOT / "docs/features").glob("*.md")]
    rows = [row for path in tables for row in re.findall(r"^\| (`[^|]*`) \|", path.read_text(), re.MULTILINE)]

    assert {pair for pair in named if pair[1] not in DEFAULTS and not pair[1].startswith("SESSION_COOKIE")} == set()
    assert {name for name in DEFAULTS if not any(f"`{name}`" in row for row in rows)} == set()


def test_every_link_leads_to_a_file() -> None:
    links = {(page, link) for page in PAGES for link in LINK.findall(page.read_text())}

    assert {(page.name, link) for page, link in links if not (page.parent / link).exists()} == set()


def test_what_two_recipes_import_of_the_site_exists() -> None:
    """Their libraries are not installed here, so the recipes were tested by hand."""
    for name in ("report-errors-to-sentry.md", "trace-requests.md"):
        code = "".join(PYTHON.findall((ROOT / "docs/how-to" / name).read_text()))
        imports = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom)]
        ours = [(str(node.module), alias.name) for node in imports for alias in node.names if "app" in str(node.module)]
        assert len(ours) >= 2
        for module, attribute in ours:
            assert hasattr(import_module(module), attribute) or find_spec(f"{module}.{attribute}"), (module, attribute)


def test_every_path_and_command_that_agents_md_names_exists() -> None:
    text = (ROOT / "AGENTS.md").read_text()
    words = [code.split() for code in CODE.findall(text)]
    paths = {first for first, *rest in words if "/" in first and not rest}
    programs = {Path(first).name for first, *_ in words if first.startswith(".venv/bin/")}
    targets = {rest[0] for first, *rest in words if first == "make"}
    commands = {rest[2] for _, *rest in words if rest[:2] == ["--app", "run"]}

    assert {len(found) > 0 for found in (paths, programs, targets, commands)} == {True}
    assert {path for path in paths if not (ROOT / path).exists()} == set()
    assert {program for program in programs if not Path(sys.executable).with_name(program).exists()} == set()
    assert targets <= set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert commands <= COMMANDS.keys()
    assert len(text.splitlines()) <= 80
