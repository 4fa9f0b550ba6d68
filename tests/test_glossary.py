"""The words that docs/glossary.md rules out do not appear in the code, the texts and the docs."""

import re
from collections.abc import Iterator
from pathlib import Path

from support.app import ROOT

# Only words that a search can judge: "address" or "take" are right in some sentences and wrong in others.
OUT = re.compile(
    r"\b(log-ins?|sign(s|ed)? (in|up)|somebody|nobody|anybody|everybody|whoever|unit of work|visitors?|thie(f|ves)"
    r"|strangers?|alarms?|sweep\w*|mend(s|ed|ing)?|patience|throttl(ed?|es|ing)|put(s|ting)? off|known browsers?)\b",
    re.IGNORECASE,
)
# The table of rate limits has the name of the first release.
ALLOWED = re.compile(r"\"throttle\"|`throttle`|ix_throttle_\w+|7c1f0e5b2a94\w*|images/log-in\.jpg")
SUFFIXES = {".py", ".md", ".html", ".txt", ".js", ".css", ".cfg", ".toml", ".po"}
PLACES = ("src/app", "alembic", "docs", "deploy", "instance", "run.py", "README.md", "CHANGELOG.md", "Makefile")


def texts() -> Iterator[Path]:
    for place in PLACES:
        path = ROOT / place
        files = [path] if path.is_file() else sorted(path.rglob("*"))
        yield from (file for file in files if file.suffix in SUFFIXES or file.name == "Makefile")


def is_text_of_others(path: Path) -> bool:
    names = {"glossary.md", "test_glossary.py", "common_passwords.txt", "application.cfg.py"}
    return path.name in names or "vendor" in path.parts or "vectors" in path.parts


def test_no_word_is_used_that_the_glossary_rules_out() -> None:
    found = []
    for path in filter(lambda path: not is_text_of_others(path), texts()):
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            if match := OUT.search(ALLOWED.sub("", line)):
                found.append(f"{path.relative_to(ROOT)}:{number}: {match[0]}")

    assert found == []
