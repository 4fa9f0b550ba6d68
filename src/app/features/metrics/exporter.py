"""Serve the metrics of all workers with the HTTP server of prometheus_client.

It runs in a thread, so a busy event loop does not delay it. It serves the metrics at every path, including /metrics.
"""

import asyncio
import os
from collections.abc import Iterator
from logging import ERROR
from typing import Any

from prometheus_client import CollectorRegistry, Metric, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector
from quart import Quart

from app.features.metrics.folder import Folder
from app.features.metrics.outbox import Waiting, count_waiting
from app.lib import logs
from app.lib.db import db

QUERY_TIMEOUT_SECONDS = 2  # Prometheus waits 10 seconds for a response
TAKEOVER_INTERVAL_SECONDS = 1


class WorkersCollector(Collector):
    """Add up the files of the workers: counters of all, even if they have ended, and gauges of those that are alive."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder

    def collect(self) -> Iterator[Metric]:
        for pid in set(self.folder.dead_workers()):
            mark_process_dead(pid, str(self.folder.path))  # type: ignore[no-untyped-call]
        yield from MultiProcessCollector.merge(self.folder.files())  # type: ignore[no-untyped-call]


class DatabaseCollector(Collector):
    """Query the outbox. If the database does not respond in time, report this without the metrics of the outbox."""

    def __init__(self, app: Quart) -> None:
        self.app = app
        self.loop = asyncio.get_running_loop()

    def collect(self) -> Iterator[Metric]:
        emails = GaugeMetricFamily("site_outbox_emails", "E-mails that wait to be delivered", labels=["tried"])
        ages = GaugeMetricFamily("site_outbox_oldest_age_seconds", "Age of the oldest such e-mail", labels=["tried"])
        waiting = self.query()
        for tried, found in waiting.items():
            emails.add_metric([tried], found.emails)
            ages.add_metric([tried], found.oldest_age_seconds)
        yield emails
        yield ages
        yield GaugeMetricFamily("site_database_up", "1 if the database responds", value=int(bool(waiting)))

    def query(self) -> dict[str, Waiting]:
        running = asyncio.run_coroutine_threadsafe(self.count_waiting(), self.loop)
        try:
            return running.result(QUERY_TIMEOUT_SECONDS)
        except Exception:  # noqa: BLE001 # any error: the other metrics are needed most when the database fails
            running.cancel()
            return {}

    async def count_waiting(self) -> dict[str, Waiting]:
        async with self.app.app_context():
            return await db.read(count_waiting)


class Exporter:
    """Serve the metrics in one worker. When this worker ends, another takes over."""

    def __init__(self, app: Quart, folder: Folder, *, host: str, port: int) -> None:
        self.app = app
        self.folder = folder
        self.host, self.port = host, port
        self.server: Any = None
        self.is_error_logged = False

    async def run(self) -> None:
        """Wait until no other worker serves the metrics and the bind address is free, then serve them."""
        while not (self.folder.become_exporter() and self._is_listening()):  # noqa: ASYNC110 # no event announces it
            await asyncio.sleep(TAKEOVER_INTERVAL_SECONDS)

    def _is_listening(self) -> bool:
        """Listen, and return whether that succeeded. The site works without its metrics, so an error is only logged."""
        registry = CollectorRegistry()
        registry.register(WorkersCollector(self.folder))
        registry.register(DatabaseCollector(self.app))
        try:
            self.server, _thread = start_http_server(self.port, self.host, registry)
        except OSError as error:
            if not self.is_error_logged:
                logs.record("metrics_unavailable", level=ERROR, reason=str(error))
            self.is_error_logged = True
            return False
        logs.record("metrics_served", pid=os.getpid(), bind=self.app.config["METRICS_BIND"])
        return True

    async def stop(self) -> None:
        if self.server is not None:
            await asyncio.to_thread(self.server.shutdown)
            self.server.server_close()
