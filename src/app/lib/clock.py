"""The clock of the app. Tests replace `now`."""

from datetime import UTC, datetime


def now() -> datetime:
    """Return the time in UTC, in whole seconds, as both databases store it."""
    return datetime.now(UTC).replace(microsecond=0)
