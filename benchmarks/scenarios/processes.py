"""The processes that serve: two of them, and how quickly one is there."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

import sites
from measuring import CLOCK, Bench, Row, against
from sites import ROOT, Site, cpu_seconds
from wrk import Load, put_load_on


def workers(bench: Bench) -> Iterator[Row]:
    """Two workers on two cores against one. wrk takes a twentieth of a core of it."""
    with ExitStack() as stack:
        one = stack.enter_context(sites.ours(bench.url("one"), bench.folder / "one", core="0,1"))
        two = stack.enter_context(sites.ours(bench.url("two"), bench.folder / "two", workers=2, core="0,1"))
        yield against(bench, "a stranger's page, two workers", two, one, goal=1.7)
        load = Load(seconds=bench.seconds)
        ratios = bench.in_turn(lambda: per_cpu_second(two, load), lambda: per_cpu_second(one, load))
        yield Row("requests for a second of processor time, two workers", one.name, 0.95, ratios)


def per_cpu_second(site: Site, load: Load) -> float:
    before = cpu_seconds(site.pid)
    served = put_load_on(site.url, load).requests
    return served / (cpu_seconds(site.pid) - before)


def start(bench: Bench) -> Iterator[Row]:
    """How long it takes until the first answer, in seconds."""
    database, folder = bench.url("start"), bench.folder / "start"
    with sites.ours(database, folder):
        pass  # the tables are made
    seconds = []
    for _ in range(bench.rounds):
        settings = {"QUART_INSTANCE_PATH": str(folder), "QUART_SQLALCHEMY_DATABASE_URI": database}
        command = [sys.executable, "run.py", "--bind", "127.0.0.1:PORT"]
        since = time.monotonic()
        with sites.running("start", command, ROOT, folder / "log", **settings):
            seconds.append(time.monotonic() - since)
    yield Row("start to first answer, in seconds", CLOCK, 1.0, seconds, at_most=True)
    imports = []
    for _ in range(bench.rounds):
        since = time.monotonic()
        subprocess.run([sys.executable, "-c", "import run"], cwd=ROOT, check=True)
        imports.append(time.monotonic() - since)
    yield Row("import of run.py with the interpreter, in seconds", CLOCK, 0.6, imports, at_most=True)
