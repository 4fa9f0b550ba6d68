"""The clock of the app. Tests replace `now`."""

from datetime import UTC, datetime, timedelta

MAX_DIFFERENCE = timedelta(seconds=30)  # between the clocks of two machines; `quart --app run check` reports more


def now() -> datetime:
    """Return the time in UTC, in whole seconds, as both databases store it."""
    return datetime.now(UTC).replace(microsecond=0)
