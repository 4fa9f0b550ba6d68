"""Rates, such as `5 per 5 minutes`."""

import re
from datetime import timedelta
from typing import NamedTuple

SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
RATE = re.compile(r"([1-9][0-9]{0,8}) per (?:([1-9][0-9]{0,5}) )?(second|minute|hour|day)s?", re.ASCII)


class Rate(NamedTuple):
    hits: int
    window: timedelta

    @classmethod
    def parse(cls, text: str) -> "Rate":
        """Parse `10 per minute` or `5 per 5 minutes`. Raises ValueError."""
        if not (parts := RATE.fullmatch(text.strip())):
            raise ValueError(f"not a rate: {text!r}")
        hits, number, unit = parts.groups()
        return cls(int(hits), timedelta(seconds=int(number or 1) * SECONDS[unit]))
