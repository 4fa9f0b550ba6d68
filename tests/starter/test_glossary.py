"""The words that docs/glossary.md rules out do not appear in the code, the texts, the docs and the tests."""

import re
from pathlib import Path

from support.app import ROOT

# Only words that a search can judge: "address" or "take" are right in some sentences and wrong in others.
# An underscore ends a word, so that names of functions are searched too.
OUT = re.compile(
    r"(?<![a-z])(log-ins?|sign(s|ed)?[ _](in|up)|somebody|nobody|anybody|everybody|whoever|unit[ _]of[ _]work|visitors?"
    r"|thie(f|ves)|strangers?|alarms?|sweep\w*|mend(s|ed|ing)?|patience|throttl(ed?|es|ing)|put(s|ting)?[ _]off"
    r"|known[ _]browsers?)(?![a-z])",
    re.IGNORECASE,
)
# The table of rate limits has the name of the first release; a signal has its name from POSIX.
ALLOWED = re.compile(r"\"throttle\"|`throttle`|(TABLE|TO) throttle|ix_throttle_\w+|7c1f0e5b2a94\w*|signal\.alarm")
SUFFIXES = {".py", ".md", ".html", ".txt", ".js", ".css", ".cfg", ".toml", ".po"}
FOLDERS = ("src/app", "alembic", "docs", "deploy", "instance", "tests")
FILES = ("run.py", *(path.name for path in ROOT.glob("*.md")), "Makefile")
NOT_SEARCHED = {"glossary.md", "test_glossary.py", "common_passwords.txt", "application.cfg.py", "vendor", "vectors"}


def texts() -> list[Path]:
    found = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in SUFFIXES]
    return [path for path in (*found, *map(ROOT.joinpath, FILES)) if not NOT_SEARCHED & set(path.parts)]


def test_no_word_is_used_that_the_glossary_rules_out() -> None:
    found = []
    for path in texts():
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            if match := OUT.search(ALLOWED.sub("", line)):
                found.append(f"{path.relative_to(ROOT)}:{number}: {match[0]}")

    assert found == []
