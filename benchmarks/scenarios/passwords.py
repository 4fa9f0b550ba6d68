"""Logins and registrations, compared with their hash alone, and the latency of pages meanwhile."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

import sites
from accounts import PASSWORD, login_requests, register, register_users
from measuring import Bench, Row, ratios, throughput
from sites import HERE, Site
from wrk import SERVER_CORE, Load, Request, put_load_on

REGISTRATION = Request(
    "/register", form={"email": "new-#@example.com", "password": PASSWORD, "password_confirm": PASSWORD}
)


def passwords(bench: Bench) -> Iterator[Row]:
    """Logins, which verify a hash, and registrations, which make one, compared with the peer and with argon2 alone."""
    with ExitStack() as stack:
        database = bench.url("passwords")
        ours = stack.enter_context(sites.ours(database, bench.folder / "passwords"))
        peer = stack.enter_context(sites.peer(bench.peer_url("passwords_peer"), bench.folder / "passwords-peer"))
        logins = {site: login_requests(site, register_users(site)) for site in (ours, peer)}
        stored = bench.stored_hash("passwords")
        alone = {step: partial(argon2_alone, bench.seconds, step, stored) for step in ("verify", "hash")}
        yield from compare(bench, "logins", logins, alone["verify"], goal=0.7)
        registrations = dict.fromkeys(logins, (REGISTRATION,))
        yield from compare(bench, "registrations", registrations, alone["hash"])


def compare(
    bench: Bench,
    what: str,
    requests: Mapping[Site, tuple[Request, ...]],
    alone: Callable[[], float],
    *,
    goal: float | None = None,
) -> Iterator[Row]:
    loads = {site: Load(bench.password_clients, bench.seconds, own) for site, own in requests.items()}
    ours, peer, hashes = bench.in_turn(*(partial(throughput, site, load) for site, load in loads.items()), alone)
    yield Row(what, "argon2 alone", ratios(ours, hashes), goal)
    yield Row(what, "peer", ratios(ours, peer))


def argon2_alone(seconds: float, step: str, stored: str) -> float:
    command = ["taskset", "-c", SERVER_CORE, sys.executable, str(HERE / "argon2_alone.py")]
    command += [str(seconds), "2", step, stored, PASSWORD]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def flood(bench: Bench) -> Iterator[Row]:
    """The 99th percentile of a logged-in page during a flood of logins, compared with the same without."""
    with sites.ours(bench.url("flood"), bench.folder / "flood") as ours:
        logins = Load(bench.password_clients, bench.seconds + 2, login_requests(ours, register_users(ours)))
        page = Load(2, bench.seconds, (Request("/", register(ours, "ada@example.com")),))

        def p99() -> float:
            return put_load_on(ours.url, page).p99_milliseconds

        def p99_meanwhile() -> float:
            with ThreadPoolExecutor(1) as beside:
                flooding = beside.submit(put_load_on, ours.url, logins)
                time.sleep(1)
                measured = p99()
                flooding.result()
            return measured

        figures = bench.in_turn(p99_meanwhile, p99)
    what = "99th percentile of a logged-in page during a flood of logins"
    yield Row(what, "without", ratios(*figures), 3, at_most=True)
