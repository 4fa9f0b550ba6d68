"""The processes that serve: two workers, and how soon one is ready."""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

import sites
from measuring import Bench, Row, ratios
from sites import ROOT, RUN
from wrk import Load


def workers(bench: Bench) -> Iterator[Row]:
    """Two workers on two cores, one of which they share with wrk, compared with one worker."""
    with ExitStack() as stack:
        one = stack.enter_context(sites.ours(bench.url("one"), bench.folder / "one", name="one", core="0,1"))
        two = stack.enter_context(
            sites.ours(bench.url("two"), bench.folder / "two", name="two", core="0,1", command=(*RUN, "--workers", "2"))
        )
        loads = dict.fromkeys((two, one), Load(64, bench.seconds))
        yield Row("front page, anonymous, two workers, 64 clients", "one worker", ratios(*bench.per_second(loads)))


def start(bench: Bench) -> Iterator[Row]:
    """The time from the start of run.py to its first response, in seconds."""
    database, folder = bench.url("start"), bench.folder / "start"
    with sites.ours(database, folder):
        pass  # creates the tables
    settings = {"QUART_INSTANCE_PATH": str(folder), "QUART_SQLALCHEMY_DATABASE_URI": database}
    seconds = []
    for _ in range(bench.rounds):
        since = time.monotonic()
        with sites.running("start", [sys.executable, *RUN], ROOT, folder / "log", **settings):
            seconds.append(time.monotonic() - since)
    yield Row("start to first response, in seconds", "", seconds, at_most=True)
