"""The lines of the log: their form, text of a client that would break them, and pages that fail."""

import json
import re
from collections.abc import Awaitable, Callable

import pytest
from quart import Quart, Response

from app.auth import public
from app.lib.db import DatabaseUnavailable
from app.lib.logs import JsonLine
from app.lib.passwords.executor import Overloaded

Log = pytest.LogCaptureFixture

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00 (info   |warning|error  ) ([\w.]+) \S.*")
ADDRESS, IP = "ada.lovelace@example.com", "203.0.113.77"
FORGED = "2026-01-01T00:00:00.000+00:00 error   forged request=1"
CONTROLS, INVISIBLE = ["\n", "\r\n", "\x1b[31m", "\x7f", "\0"], ["\x85", "\u2028", "\u202e"]
WORDS = f"recognisable {ADDRESS}" + "".join(char + FORGED for char in [*CONTROLS, *INVISIBLE])
CRASHES: dict[str, Callable[[], Exception]] = {
    "crash": lambda: RuntimeError(WORDS),
    "no_database": lambda: DatabaseUnavailable(WORDS),
    "overload": lambda: Overloaded(99),
}


@pytest.fixture(params=["text", "json"])
def log_format(request: pytest.FixtureRequest, log: Log) -> str:
    if request.param == "json":
        log.handler.setFormatter(JsonLine())
    return str(request.param)


def add_crashing_pages(app: Quart) -> None:
    def failing(error: Callable[[], Exception]) -> Callable[[], Awaitable[str]]:
        async def fail() -> str:
            raise error()

        return fail

    for name, error in CRASHES.items():
        app.add_url_rule(f"/{name}", name, public(failing(error)))


def events_of(log: Log, response: Response) -> list[str]:
    """Return what was logged under a response's request id, without that id, the time and the duration."""
    number = response.headers["X-Request-ID"]
    lines = [line for line in log.text.splitlines() if f" request={number} " in f"{line} "]
    return [re.sub(rf" (request={number}|ms=\d+)\b", "", line)[30:] for line in lines]


def names_of(lines: list[str], log_format: str) -> list[str]:
    return [json.loads(line)["event"] if log_format == "json" else LINE.sub(r"\2", line) for line in lines]
