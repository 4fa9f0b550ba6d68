"""The metrics of a served site, as Prometheus reads them."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from support.mariadb_server import free_port
from support.server_process import RUN, Server, running

SERVED = re.compile(r" metrics_served pid=(\d+) ")

Sample = tuple[str, tuple[tuple[str, str], ...]]  # its name, and its labels


@dataclass(frozen=True)
class Scrape:
    text: str
    kinds: dict[str, str]  # by the name of a family, such as http_requests
    values: dict[Sample, float]

    @classmethod
    def of(cls, bind: str) -> "Scrape":
        response = httpx.get(f"http://{bind}/metrics")
        assert (response.status_code, response.headers["Content-Type"][:10]) == (200, "text/plain")
        families = list(text_string_to_metric_families(response.text))
        samples = [sample for family in families for sample in family.samples]
        values = {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in samples}
        return cls(response.text, {family.name: family.type for family in families}, values)

    def sum(self, metric: str, **labels: str) -> float:
        """Return the sum of the samples that have these labels."""
        found = [value for (name, own), value in self.values.items() if name == metric and labels.items() <= set(own)]
        return sum(found)


async def scrape(bind: str) -> Scrape:
    return await asyncio.to_thread(Scrape.of, bind)


@dataclass
class MeasuredSite:
    server: Server
    bind: str

    def scrape(self) -> Scrape:
        return Scrape.of(self.bind)

    @property
    def exporters(self) -> list[int]:
        """Return the process ids of the workers that have begun to serve the metrics."""
        return [int(pid) for pid in SERVED.findall(self.server.log.read_text())]

    def wait_for_sum(self, metric: str, at_least: float, **labels: str) -> None:
        self.server.wait_for(lambda: self.scrape().sum(metric, **labels) >= at_least)


@contextmanager
def measured_site(
    instance: Path, *options: str, command: tuple[str, ...] = RUN, address: str = "", **settings: Any
) -> Iterator[MeasuredSite]:
    """Serve the site with two workers and metrics, whose files are in a temporary directory of the test."""
    settings |= {"METRICS_BIND": (bind := f"127.0.0.1:{free_port()}")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(instance))
        with running(instance, *options, command=command, address=address, workers=2, **settings) as server:
            site = MeasuredSite(server, bind)
            server.wait_for(lambda: bool(site.exporters))
            site.wait_for_sum("site_workers", 2)
            yield site
