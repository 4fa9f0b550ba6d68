"""How others fare while log-ins saturate the core."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import sites
from accounts import register
from measuring import CLOCK, Bench, Row
from sites import Site
from wrk import BenchError, Load, put_load_on

from scenarios.passwords import log_in_load

T = TypeVar("T")


def calm(bench: Bench) -> Iterator[Row]:
    """The 99th percentile of a logged-in page while log-ins saturate the core, against the same without them."""
    with sites.ours(bench.url("calm"), bench.folder / "calm") as us:
        flood = log_in_load(us, seconds=bench.seconds + 2)
        page = Load(clients=2, seconds=bench.seconds, cookie=register(us, "ada@example.com"))

        def p99() -> float:
            return put_load_on(us.url, page).p99

        ratios = bench.in_turn(lambda: in_the_flood(us, flood, p99), p99)
        yield Row("99th percentile of a logged-in page while log-ins saturate", "without", 3, ratios, at_most=True)


def event_loop(bench: Bench) -> Iterator[Row]:
    """The longest time for which one callback held the event loop while log-ins saturated the core, in each round."""
    said = bench.folder / "holds.json"
    watched = sites.ours(bench.url("loop"), bench.folder / "loop", program="benchmarks/watched.py", HOLDS=str(said))
    with watched as us:
        flood = log_in_load(us, seconds=bench.seconds + 2)
        page = Load(clients=2, seconds=bench.seconds, cookie=register(us, "ada@example.com"))
        holds = []
        for _ in range(bench.rounds):
            longest_holds(us, said)  # of before
            in_the_flood(us, flood, lambda: put_load_on(us.url, page))
            holds.append(longest_holds(us, said))
    for of, what, goal in (
        ("cpu", "longest hold of the event loop while log-ins saturate, in ms of its CPU time", 20),
        ("collection", "longest collection of garbage meanwhile, in ms of CPU time", 0),
        ("wall", "longest hold of the event loop by the clock, hashing threads included, in ms", 0),
    ):
        yield Row(what, CLOCK, goal, [max(hold[of] for hold in holds)], at_most=True)


def in_the_flood(us: Site, flood: Load, measure: Callable[[], T]) -> T:
    """Measure while people log in."""
    with ThreadPoolExecutor(1) as beside:
        flooding = beside.submit(put_load_on, us.url, flood)
        time.sleep(1)
        measured = measure()
        flooding.result()
    return measured


def longest_holds(us: Site, said: Path) -> dict[str, float]:
    """Ask watched.py, which begins anew then."""
    said.unlink(missing_ok=True)
    os.kill(us.pid, signal.SIGUSR1)
    for _ in range(100):
        if said.exists():
            holds: dict[str, float] = json.loads(said.read_text())
            return holds
        time.sleep(0.05)
    raise BenchError("watched.py does not say how long the event loop was held")
