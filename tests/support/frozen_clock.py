"""A clock that a test moves."""

from datetime import datetime, timedelta

import pytest

from app.lib import clock


class FrozenClock:
    """The clock of the app, which stands still until a test moves it."""

    def __init__(self) -> None:
        self.time = clock.now()

    def now(self) -> datetime:
        return self.time

    def forward(self, step: timedelta) -> None:
        self.time += step


@pytest.fixture
def frozen_clock(monkeypatch: pytest.MonkeyPatch) -> FrozenClock:
    moved = FrozenClock()
    monkeypatch.setattr(clock, "now", moved.now)
    return moved
