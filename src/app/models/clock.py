"""The one clock of the program."""

from datetime import UTC, datetime


def now() -> datetime:
    """Return the time in UTC, in whole seconds: what both databases keep."""
    return datetime.now(UTC).replace(microsecond=0)
