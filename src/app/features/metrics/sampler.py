"""Once a second, copy the figures that other parts of the app count, so that requests are not slowed down."""

import asyncio
import os
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, ProcessCollector
from quart import Quart

from app.features.metrics.families import Families
from app.lib.passwords.executor import THREADS, executor

INTERVAL_SECONDS = 1


class Growth:
    """Add to a counter the growth of a number that is kept elsewhere."""

    def __init__(self, counter: Counter, read: Callable[[], float]) -> None:
        self.counter = counter
        self.read = read
        self.last = read()  # may include what the master counted before the fork

    def sample(self) -> None:
        now = self.read()
        self.counter.inc(max(0, now - self.last))
        self.last = now


class Sampler:
    def __init__(self, app: Quart, families: Families) -> None:
        self.families = families
        self.pools = {name: app.extensions[f"db_{name}_pool"] for name in ("read", "write")}
        self.growths = [
            Growth(families.hashed, lambda: executor.finished),
            Growth(families.hashing, lambda: executor.busy_seconds),
            Growth(families.hashing_wait, lambda: executor.wait_seconds),
            Growth(families.cpu, lambda: sum(os.times()[:2])),
        ]
        for name, pool in self.pools.items():
            self._follow_pool(name, pool)
        self.process = ProcessCollector(registry=CollectorRegistry())

    def _follow_pool(self, name: str, pool: Any) -> None:
        self.growths += [
            Growth(self.families.calls.labels(name), lambda: pool.calls),
            Growth(self.families.wait.labels(name), lambda: pool.wait_seconds),
            Growth(self.families.busy.labels(name), lambda: pool.busy_seconds),
            Growth(self.families.timeouts.labels(name), lambda: pool.timeouts),
        ]

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self.sample()
            expected = loop.time() + INTERVAL_SECONDS
            await asyncio.sleep(INTERVAL_SECONDS)
            self.families.lag.inc(max(0, loop.time() - expected))

    def sample(self) -> None:
        for growth in self.growths:
            growth.sample()
        families = self.families
        families.workers.set(1)
        families.hashing_threads.set(THREADS)
        families.hashing_running.set(min(executor.passwords, THREADS))
        families.hashing_waiting.set(max(0, executor.passwords - THREADS))
        for name, pool in self.pools.items():
            families.waiting.labels(name).set(pool.waiting)
            families.in_use.labels(name).set(pool.in_use)
            families.size.labels(name).set(pool.size)
        values = {sample.name: sample.value for family in self.process.collect() for sample in family.samples}
        families.memory.set(values.get("process_resident_memory_bytes", 0))  # missing outside Linux
        families.files.set(values.get("process_open_fds", 0))
