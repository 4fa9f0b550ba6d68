"""Count requests and events. Every label has few values, and no label contains text of a client."""

from typing import Any

from quart import Quart

from app.features.metrics.families import Families
from app.lib.asgi.request_log import RequestRecord

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET"}
OTHER = "other"
NO_ENDPOINT = "unknown"
MAX_EVENTS = 200  # event names; code that puts values into event names would otherwise fill the memory
# Exported as 0 from the start, so that Prometheus sees the first event as an increase, and not as a new time series.
FIRST_EVENTS = ("logged_in", "authentication_failed", "unhandled_error", "database_unavailable", "overloaded")


class Recorder:
    def __init__(self, app: Quart, families: Families) -> None:
        self.families = families
        self.events = set(FIRST_EVENTS)
        for event in FIRST_EVENTS:
            families.events.labels(event)
        for setting in app.config:
            if setting.startswith("RATE_LIMIT_"):
                families.rate_limited.labels(setting.removeprefix("RATE_LIMIT_").lower())

    def count_request(self, record: RequestRecord) -> None:
        endpoint = record.endpoint or NO_ENDPOINT
        method = record.method if record.method in METHODS else OTHER
        self.families.requests.labels(method, endpoint, str(record.status or "disconnected")).inc()
        if method != "WEBSOCKET":  # a websocket lasts as long as the client wants
            self.families.duration.labels(endpoint).observe(record.seconds)

    def count_event(self, event: str, facts: dict[str, Any]) -> None:
        if event == "request":
            return
        if event not in self.events:
            if len(self.events) >= MAX_EVENTS:
                event = OTHER
            self.events.add(event)
        self.families.events.labels(event).inc()
        if event == "rate_limited":
            self.families.rate_limited.labels(facts["limit"]).inc()
