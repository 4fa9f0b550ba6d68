"""The log: one line for each event, as text, as JSON, or in short form for a developer (LOG_FORMAT).

    logs.record("logged_in", user=17)

A line names a user by id, never by e-mail address, and contains no password, token or cookie. Characters from
outside are escaped, so that a value cannot forge a line of the log (CWE-117).
"""

import json
import logging
import re
import sys
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

PLAIN = re.compile(r"[!#-<>-\[\]-~]+")  # no space, quote, equals sign or backslash, nothing outside ASCII
EMAIL = re.compile(r"[^\s'\"<>(),;@]{1,64}@[^\s'\"<>(),;]{1,255}")  # bounded, because it reads values from outside
FACT_LENGTH = 500  # characters

request_id: ContextVar[str] = ContextVar("request_id", default="")
logger = logging.getLogger("app")
listeners: list[Callable[[str, dict[str, Any]], None]] = []  # called with each event and its facts


def record(event: str, *, level: int = logging.INFO, error: BaseException | None = None, **facts: Any) -> None:
    """Log an event with its facts; `error` adds the traceback of an exception."""
    logger.log(level, event, exc_info=error, extra={"facts": facts})
    for listen in listeners:
        listen(event, facts)


def set_up(log_format: str) -> None:
    """Send every record of this process, also those of libraries, to standard error in one format."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(FORMATS[log_format]())
    handler.addFilter(lambda record: not has_handler(logging.getLogger(record.name)))
    if log_format == "console":
        handler.addFilter(lambda record: record.levelno > logging.INFO or not is_hidden_from_developers(record))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    logger.handlers.clear()  # Quart adds one when app.logger is first used


def has_handler(library: logging.Logger) -> bool:
    """Return whether a library writes its records itself, as Hypercorn does under its own command."""
    return any(not isinstance(handler, logging.NullHandler) for handler in library.handlers)


class Line(logging.Formatter):
    """Collect the facts of a line. A record of a library becomes an event with the name of its logger."""

    def facts(self, record: logging.LogRecord) -> dict[str, Any]:
        facts: dict[str, Any] = {"time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")}
        facts["level"] = record.levelname.lower()
        recorded: dict[str, Any] | None = getattr(record, "facts", None)
        if recorded is None:
            facts |= {"event": record.name, "message": without_addresses(record.getMessage())}
        else:
            facts["event"] = record.getMessage()
        if number := request_id.get():
            facts["request"] = number
        return facts | {name: safe(fact) for name, fact in (recorded or {}).items() if name not in facts}

    def traceback(self, record: logging.LogRecord) -> str:
        return without_addresses(self.formatException(record.exc_info)) if record.exc_info else ""


class JsonLine(Line):
    def format(self, record: logging.LogRecord) -> str:
        facts = self.facts(record)
        if traceback := self.traceback(record):
            facts["traceback"] = traceback
        return escaped(json.dumps(facts, default=str))


class TextLine(Line):
    """A traceback follows its line, indented, so that its text cannot look like another line."""

    def format(self, record: logging.LogRecord) -> str:
        facts = self.facts(record)
        head = [facts.pop("time"), f"{facts.pop('level'):7}", facts.pop("event")]
        line = " ".join([*head, *(f"{name}={shown(value)}" for name, value in facts.items())])
        return "\n".join([line, *(f"    | {escaped(text)}" for text in self.traceback(record).splitlines())])


class ConsoleLine(TextLine):
    """Short lines for the terminal of a developer, without times: `GET /login 200 (12 ms)`."""

    HIDDEN = ("started", "stopped", "dev_mailbox")

    def format(self, record: logging.LogRecord) -> str:
        facts = self.facts(record)
        event = facts.pop("event")
        if event == "request":
            return escaped("{method} {route} {status} ({ms} ms)".format(**facts))
        facts = {name: value for name, value in facts.items() if name not in ("time", "level", "request")}
        line = " ".join([event, *(f"{name}={shown(value)}" for name, value in facts.items())])
        return "\n".join([line, *(f"    | {escaped(text)}" for text in self.traceback(record).splitlines())])


FORMATS: dict[str, type[Line]] = {"text": TextLine, "json": JsonLine, "console": ConsoleLine}


def is_hidden_from_developers(record: logging.LogRecord) -> bool:
    """Return whether a record says what run.py has said already in the console format."""
    return record.getMessage() in ConsoleLine.HIDDEN or record.name.startswith("hypercorn")


def shown(value: Any) -> str:
    """Return a value as one word, or in quotes with its unusual characters escaped."""
    text = "-" if value is None else str(value)
    return text if PLAIN.fullmatch(text) else escaped(json.dumps(text))


def escaped(text: str) -> str:
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)


def safe(fact: Any) -> Any:
    """Return a number unchanged, and anything else as text of limited length without e-mail addresses."""
    if fact is None or isinstance(fact, int | float):
        return fact
    # Cut only after the replacement: a pattern does not match an e-mail address that was cut in two.
    return without_addresses(str(fact)[: 2 * FACT_LENGTH])[:FACT_LENGTH]


def without_addresses(text: str) -> str:
    """Replace e-mail addresses, which a database quotes in its error messages."""
    return EMAIL.sub("…@…", text)
