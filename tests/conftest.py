"""The fixtures are in support/."""

pytest_plugins = ["support"]
