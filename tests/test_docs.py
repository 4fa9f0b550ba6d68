"""What the documentation names is there."""

import re
from pathlib import Path

import pytest

from app.config import DEFAULTS
from conftest import ROOT

NAMED = re.compile(r"(?:(tests/\w+\.py))?::(test_\w+)|(tests/\w+\.py)")
SETTING = re.compile(r"\b((?:THROTTLE|SECURITY|SESSION|REMEMBER|TRUSTED|LOG|DATABASE)_[A-Z_]*[A-Z])\b")
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


def test_every_test_that_is_named_exists() -> None:
    file, missing = "", []
    for match in NAMED.finditer((ROOT / "docs/security.md").read_text()):
        file = match[1] or match[3] or file
        if not (ROOT / file).exists() or (match[2] and f"def {match[2]}(" not in (ROOT / file).read_text()):
            missing.append(f"{file}::{match[2]}")

    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_setting_that_is_named_exists(page: Path) -> None:
    named = set(SETTING.findall(page.read_text()))

    assert named <= set(DEFAULTS)
