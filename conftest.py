"""The fixtures of all tests are in tests/support."""

pytest_plugins = ["support"]
