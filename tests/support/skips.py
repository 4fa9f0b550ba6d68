"""REQUIRE_ALL=1 turns every skip into a failure: what was not tested is not to look tested.

A test of each feature or of each further language has no cases in a product that has none of them.
"""

import os
from collections.abc import Generator

import pytest

NO_CASES = "got empty parameter set"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report, reason = (yield), str(call.excinfo.value) if call.excinfo else ""
    is_wrong = report.skipped and not hasattr(report, "wasxfail") and NO_CASES not in reason
    if is_wrong and os.environ.get("REQUIRE_ALL") == "1":
        report.outcome = "failed"
        report.longrepr = f"skipped under REQUIRE_ALL=1: {reason}"
    return report
