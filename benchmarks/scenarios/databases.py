"""The front page with other databases: in a file, and 10 ms away."""

import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path

import sites
from accounts import register, register_users
from measuring import Bench, Row, ratios
from sites import HERE, Site
from sqlalchemy.engine import make_url
from wrk import LOAD_CORE, BenchError, Load, Request, put_load_on

from support.mariadb_server import free_port

THREADS = (15, 40, 100)  # of the peer
DELAY_MILLISECONDS = 10


def sqlite(bench: Bench) -> Iterator[Row]:
    """The database in a file: the logged-in page, and nine of it to one change of a name. No error is tolerated."""
    with ExitStack() as stack:
        files = {"ours": bench.folder / "ours.db", "peer": bench.folder / "peer.db"}
        ours = stack.enter_context(sites.ours(f"sqlite+aiosqlite:///{files['ours']}", bench.folder / "ours-sqlite"))
        peer = stack.enter_context(sites.peer(f"sqlite:///{files['peer']}", bench.folder / "peer-sqlite"))
        cookies = {site: list(register_users(site).values()) for site in (ours, peer)}

        loads = {site: Load(seconds=bench.seconds, requests=(Request("/", cookies[site][0]),)) for site in cookies}
        yield Row("front page, logged in, SQLite", peer.name, ratios(*bench.per_second(loads)), 1.0)

        loads = {site: Load(50, bench.seconds, pages_and_changes(cookies[site])) for site in cookies}
        what = "90/10 logged-in pages and changes of the name, SQLite, 50 clients"
        yield Row(what, peer.name, ratios(*bench.per_second(loads)))
        for site in cookies:
            check_written(files[site.name])


def pages_and_changes(cookies: Iterable[str]) -> tuple[Request, ...]:
    form = {"name": "Ada #"}
    return tuple(request for own in cookies for request in (*[Request("/", own)] * 9, Request("/account", own, form)))


def check_written(path: Path) -> None:
    """Raise BenchError when the database has no changed name."""
    with closing(sqlite3.connect(path)) as database:
        (written,) = database.execute("SELECT count(*) FROM user WHERE name LIKE 'Ada %'").fetchone()
    if not written:
        raise BenchError(f"{path.name} has no changed name")


def far_database(bench: Bench) -> Iterator[Row]:
    """The logged-in page for 500 clients, with a database whose responses take 10 ms longer."""
    with ExitStack() as stack:
        bench.mariadb.execute("SET GLOBAL max_connections = 400")  # the pools of all sites are open at once
        port = stack.enter_context(slow_proxy(bench.mariadb.port))
        near, near_peer = bench.url("far"), bench.peer_url("far_peer")
        with sites.ours(near, bench.folder / "far") as ours, sites.peer(near_peer, bench.folder / "far-peer") as peer:
            cookies = {"ours": register(ours, "ada@example.com"), "peer": register(peer, "ada@example.com")}
        ours = stack.enter_context(sites.ours(through(port, near), bench.folder / "far"))
        counts = THREADS[: bench.number(len(THREADS), brief=1)]
        peers = [stack.enter_context(far_peer(through(port, near_peer), bench.folder, threads)) for threads in counts]

        clients = bench.number(500, brief=50)
        loads = {site: Load(clients, bench.seconds, (Request("/", cookies["peer"]),)) for site in peers}
        loads = {ours: Load(clients, bench.seconds, (Request("/", cookies["ours"]),)), **loads}
        for site, threads in zip(loads, (counts[0], *counts), strict=True):
            for number in (1, threads):  # opens the connections to the database, not all at once
                put_load_on(site.url, loads[site]._replace(clients=number))
        own, *others = bench.per_second(loads)
        what = f"front page, logged in, database {DELAY_MILLISECONDS} ms away, {clients} clients"
        for site, figures in zip(peers, others, strict=True):
            yield Row(what, site.name, ratios(own, figures), 1.0)
        yield Row(f"{what}, worst round", "its median", [min(own) / statistics.median(own)], 0.5)


def far_peer(url: str, folder: Path, threads: int) -> AbstractContextManager[Site]:
    name = f"peer, {threads} threads"
    return sites.peer(url, folder / name, name=name, threads=threads, prepare=False)


def through(port: int, url: str) -> str:
    return make_url(url).set(port=port).render_as_string(hide_password=False)


@contextmanager
def slow_proxy(database_port: int) -> Iterator[int]:
    """Run slow_proxy.py, and give the port at which the database is 10 ms away."""
    port = free_port()
    command = ["taskset", "-c", LOAD_CORE, sys.executable, str(HERE / "slow_proxy.py")]
    process = subprocess.Popen([*command, str(port), str(database_port), str(DELAY_MILLISECONDS)])
    time.sleep(1)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(10)
