"""REQUIRE_ALL=1 turns every skip into a failure: what was not tested is not to look tested.

A test that is parametrized over features or further languages may be skipped in a product that has none.
"""

import os
from collections.abc import Generator

import pytest

from support.app import IS_STARTER

NO_CASES = "got empty parameter set"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report, reason = (yield), str(call.excinfo.value) if call.excinfo else ""
    may_have_no_cases = not IS_STARTER and NO_CASES in reason
    is_forbidden = report.skipped and not hasattr(report, "wasxfail") and not may_have_no_cases
    if is_forbidden and os.environ.get("REQUIRE_ALL") == "1":
        report.outcome = "failed"
        report.longrepr = f"skipped under REQUIRE_ALL=1: {reason}"
    return report
