"""The memory of one worker after many requests."""

import random
import re
import time
from collections.abc import Iterator
from pathlib import Path

import sites
from accounts import login_requests, register_users
from measuring import Bench, Row
from sites import Site
from wrk import Load, Request, put_load_on

SETTLING_SECONDS = 3


def memory(bench: Bench) -> Iterator[Row]:
    """The resident memory of one worker after an hour's worth of mixed requests, and how much it has grown."""
    warm, many = bench.number(20_000, brief=200), bench.number(200_000, brief=1_000)
    with sites.ours(bench.url("memory"), bench.folder / "memory") as ours:
        load = Load(seconds=bench.number(10, brief=1), requests=mixed_requests(ours))
        sent = send_until(ours, load, sent=0, number=warm)
        before = resident_megabytes(ours.pid)
        send_until(ours, load, sent=sent, number=many)
        after = resident_megabytes(ours.pid)
    yield Row(f"memory of one worker after {many:,} requests, in MB", "", [after], 100, at_most=True)
    yield Row(f"memory after {many:,} requests", f"after {warm:,}", [after / before], 1.03, at_most=True)


def send_until(site: Site, load: Load, *, sent: int, number: int) -> int:
    """Send requests until there were this many, and return how many there were."""
    while sent < number:
        sent += put_load_on(site.url, load).requests
    return sent


def mixed_requests(site: Site) -> tuple[Request, ...]:
    """Return the requests of an ordinary day in random order. One of a hundred is a login."""
    cookies = register_users(site)
    requests = list(login_requests(site, cookies))
    for own in cookies.values():
        requests += [Request("/", own)] * 40 + [Request("/sessions", own)] * 5
        requests += [Request("/")] * 20 + [Request("/about")] * 10 + [Request("/static/css/main.css")] * 15
        requests += [Request("/nothing-here", status=404)] * 9
    random.Random(6).shuffle(requests)  # noqa: S311 # the same order in every run
    return tuple(requests)


def resident_megabytes(pid: int) -> float:
    """Return the resident memory of a process once it has settled."""
    time.sleep(SETTLING_SECONDS)
    kilobytes = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert kilobytes
    return int(kilobytes[1]) * 1024 / 1_000_000
