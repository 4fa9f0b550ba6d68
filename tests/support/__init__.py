"""What test files share: fixtures, programs that run beside the tests, steps of a user, questions to a page."""

FIXTURES = (
    "browsers",
    "commands",
    "evidence",
    "fixtures",
    "frozen_clock",
    "journeys",
    "outbox",
    "served_sites",
    "skips",
    "browser_user",
)
pytest_plugins = [f"support.{name}" for name in (*FIXTURES, "tiers")]
