"""The tests of a feature use the fixtures and helpers of tests/support, like all others."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "tests"))
pytest_plugins = ["support"]
