"""What happened, one line each: for a person at a terminal, or as JSON for a program (LOG_FORMAT).

    events.record("logged_in", user=17)

A line says who by the id of a user, never by an address; it holds no password, token or cookie. What came from outside
is escaped, so that nothing in it can look like a line of its own.
"""

import json
import logging
import re
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

FORMATS = ("text", "json")
PLAIN = re.compile(r"[!#-<>-\[\]-~]+")  # no space, quote, equals sign or backslash, nothing outside ASCII
EMAIL = re.compile(r"[^\s'\"<>(),;@]{1,64}@[^\s'\"<>(),;]{1,255}")  # bounded: it looks at what comes from outside
LONGEST = 500  # characters of a fact

request_id: ContextVar[str] = ContextVar("request_id", default="")
logger = logging.getLogger("app")


def record(event: str, *, level: int = logging.INFO, error: BaseException | None = None, **facts: Any) -> None:
    """Write an event down; `error` adds its traceback."""
    if logger.isEnabledFor(level):  # logger.log would walk up to whoever calls, which no line says
        exc_info = (type(error), error, error.__traceback__) if error else None
        extra = {"facts": facts}
        logger.handle(logger.makeRecord(logger.name, level, "", 0, event, (), exc_info, extra=extra))


def set_up(log_format: str) -> None:
    """Send every record of this process, the libraries' too, to standard error in one format."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLine() if log_format == "json" else TextLine())
    handler.addFilter(lambda record: not speaks_for_itself(logging.getLogger(record.name)))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    logger.handlers.clear()  # Quart's own, if somebody has asked for app.logger before


def speaks_for_itself(library: logging.Logger) -> bool:
    """Say whether a library has its own way to say things, as Hypercorn has under its own command."""
    return any(not isinstance(handler, logging.NullHandler) for handler in library.handlers)


class Line(logging.Formatter):
    """Collect what a line says. A record of a library becomes the event that is named like its logger."""

    def facts(self, record: logging.LogRecord) -> dict[str, Any]:
        facts: dict[str, Any] = {"time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")}
        facts["level"] = record.levelname.lower()
        ours: dict[str, Any] | None = getattr(record, "facts", None)
        if ours is None:
            facts |= {"event": record.name, "message": without_addresses(record.getMessage())}
        else:
            facts["event"] = record.getMessage()
        if number := request_id.get():
            facts["request"] = number
        return facts | {name: safe(fact) for name, fact in (ours or {}).items() if name not in facts}

    def traceback(self, record: logging.LogRecord) -> str:
        return without_addresses(self.formatException(record.exc_info)) if record.exc_info else ""


class JsonLine(Line):
    def format(self, record: logging.LogRecord) -> str:
        facts = self.facts(record)
        if traceback := self.traceback(record):
            facts["traceback"] = traceback
        return escaped(json.dumps(facts, default=str))


class TextLine(Line):
    """A traceback follows its line, indented, so that no text in it begins a line of its own."""

    def format(self, record: logging.LogRecord) -> str:
        facts = self.facts(record)
        head = [facts.pop("time"), f"{facts.pop('level'):7}", facts.pop("event")]
        line = " ".join([*head, *(f"{name}={shown(value)}" for name, value in facts.items())])
        return "\n".join([line, *(f"    | {escaped(text)}" for text in self.traceback(record).splitlines())])


def shown(value: Any) -> str:
    """Return a value as one word, or else in quotes, its unusual characters escaped."""
    text = "-" if value is None else str(value)
    return text if PLAIN.fullmatch(text) else escaped(json.dumps(text))


def escaped(text: str) -> str:
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)


def safe(fact: Any) -> Any:
    """Return a number as it is, and anything else as a text of bearable length without addresses."""
    if fact is None or isinstance(fact, int | float):
        return fact
    return without_addresses(str(fact)[: 2 * LONGEST])[:LONGEST]  # an address that is cut would not be known for one


def without_addresses(text: str) -> str:
    """Take out what may be an e-mail address: a database says which value it refused."""
    return EMAIL.sub("…@…", text)
