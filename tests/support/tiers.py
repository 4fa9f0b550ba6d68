"""The three tiers of the tests: `pytest --tier check`, `--tier test` and `--tier all`.

check   needs no program but Python: units, and pages over HTTP on SQLite
test    adds MariaDB, servers and commands in processes of their own, and a look at each page in a browser
all     adds what takes long: floods, kills, fuzzing, every combination of looks, the benchmark

A test belongs to `test` if it uses a fixture that starts a program, or is marked `programs`; to `all` if it is marked
`slow` or `long`. Slow tests measure time, so they run alone.
"""

from collections import Counter

import pytest

PROGRAM_FIXTURES = {"mariadb", "chromium", "environment"}
LEFT_OUT = pytest.StashKey[Counter[str]]()
DESCRIPTIONS = {
    "check": "tests that start MariaDB, a browser or another process, and all that `make test-all` adds",
    "test": "what takes long: floods, kills, fuzzing, every look of a page, the benchmark (make test-all)",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--tier", choices=("check", "test", "all"), default="all", help="which tests to run")


def needs(item: pytest.Item) -> str | None:
    """Return why a test is left out of `check`; None for one that every tier runs."""
    if item.get_closest_marker("slow"):
        return "slow"
    if item.get_closest_marker("long"):
        return "long"
    fixtures = PROGRAM_FIXTURES.intersection(getattr(item, "fixturenames", ()))
    on_mariadb = getattr(item, "callspec", None) and item.callspec.params.get("database_uri") == "mariadb"  # type: ignore[attr-defined] # only parametrised items have it
    return "programs" if fixtures or on_mariadb or item.get_closest_marker("programs") else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    out = {"check": ("programs", "long", "slow"), "test": ("long", "slow"), "all": ()}[config.getoption("--tier")]
    left_out = [item for item in items if needs(item) in out]
    config.stash[LEFT_OUT] = Counter(str(needs(item)) for item in left_out)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if needs(item) not in out]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what the tier left out. Under xdist only the workers count the tests."""
    tier, counted = config.getoption("--tier"), config.stash.get(LEFT_OUT, None)
    if counted:
        what = ", ".join(f"{number} {reason}" for reason, number in sorted(counted.items()))
        terminalreporter.write_line(f"Left out by --tier {tier}: {what}")
    elif tier in DESCRIPTIONS:
        terminalreporter.write_line(f"Left out by --tier {tier}: {DESCRIPTIONS[tier]}")
