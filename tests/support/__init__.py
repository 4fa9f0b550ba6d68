"""What test files share: fixtures, programs that run beside the tests, steps of a user, questions to a page."""

import os

FIXTURES = (
    "browsers",
    "catalogs",
    "commands",
    "evidence",
    "fixtures",
    "frozen_clock",
    "journeys",
    "log_lines",
    "outbox",
    "served_sites",
    "skips",
    "browser_user",
)
pytest_plugins = [f"support.{name}" for name in (*FIXTURES, "tiers")]

for name in [name for name in os.environ if name.startswith("QUART_")]:
    del os.environ[name]  # the settings of a developer change no test
os.environ["QUART_SKIP_DOTENV"] = "1"
