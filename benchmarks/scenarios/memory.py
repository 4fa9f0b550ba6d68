"""What one worker keeps of many requests."""

import random
import re
import time
from collections.abc import Iterator
from pathlib import Path

import sites
from accounts import log_ins_of, register_people
from measuring import CLOCK, Bench, Row
from sites import Site
from wrk import Ask, Load, put_load_on


def memory(bench: Bench) -> Iterator[Row]:
    """The resident memory of one worker after an hour's worth of mixed requests, and how much it has grown."""
    warm, many = bench.number(20_000, brief=200), bench.number(200_000, brief=1_000)
    with sites.ours(bench.url("memory"), bench.folder / "memory") as us:
        load = Load(seconds=bench.number(10, brief=1), asks=everything(us))
        asked = ask_until(us, load, asked=0, number=warm)
        before = resident_megabytes(us.pid, bench)
        ask_until(us, load, asked=asked, number=many)
        after = resident_megabytes(us.pid, bench)
    yield Row(f"memory of one worker after {many:,} requests, in MB", CLOCK, 100, [after], at_most=True)
    yield Row(f"memory after {many:,} requests", f"after {warm:,}", 1.03, [after / before], at_most=True)


def ask_until(us: Site, load: Load, *, asked: int, number: int) -> int:
    """Ask until so many requests were made, and return how many there were."""
    while asked < number:
        asked += put_load_on(us.url, load).requests
    return asked


def everything(us: Site) -> tuple[Ask, ...]:
    """Return what people ask for, in the order of some day: one of a hundred is a log-in."""
    cookies = register_people(us)
    asks = list(log_ins_of(us, cookies))
    for cookie in cookies.values():
        asks += [Ask("/", cookie)] * 40 + [Ask("/sessions", cookie)] * 5
        asks += [Ask("/")] * 20 + [Ask("/about")] * 10 + [Ask("/static/css/main.css")] * 15
        asks += [Ask("/nothing-here", status=404)] * 9
    random.Random(6).shuffle(asks)  # noqa: S311 # always the same
    return tuple(asks)


def resident_megabytes(pid: int, bench: Bench) -> float:
    """Return the resident memory of a process that has come to rest."""
    time.sleep(bench.number(2, brief=0))
    kilobytes = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert kilobytes
    return int(kilobytes[1]) * 1024 / 1_000_000
