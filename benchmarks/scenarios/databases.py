"""The front page with other databases: in a file, and far away."""

import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import sites
from accounts import register, register_people
from measuring import Bench, Row, against
from sites import HERE
from sqlalchemy.engine import make_url
from wrk import LOAD_CORE, Ask, BenchError, Load, put_load_on

from mariadb_server import free_port


def sqlite(bench: Bench) -> Iterator[Row]:
    """The database in a file: the logged-in page, and nine of it to one change of a name; no error is tolerated."""
    with ExitStack() as stack:
        files = {"ours": bench.folder / "ours.db", "peer": bench.folder / "peer.db"}
        us = stack.enter_context(sites.ours(f"sqlite+aiosqlite:///{files['ours']}", bench.folder / "ours-sqlite"))
        them = stack.enter_context(sites.peer(f"sqlite:///{files['peer']}", bench.folder / "peer-sqlite"))
        cookies = {site: list(register_people(site).values()) for site in (us, them)}
        loads = {site: Load(seconds=bench.seconds, cookie=cookies[site][0]) for site in (us, them)}
        yield against(bench, "a logged-in page, SQLite", us, them, goal=1.2, loads=loads)
        loads = {site: Load(50, bench.seconds, asks=pages_and_changes(cookies[site])) for site in (us, them)}
        what = "90/10 logged-in pages and changes of the name, SQLite, 50 clients"
        row = against(bench, what, us, them, goal=1.2, loads=loads)
        for site in (us, them):
            check_written(files[site.name])
        yield row


def pages_and_changes(cookies: Iterable[str]) -> tuple[Ask, ...]:
    changed = {"name": "Ada #", "phone": ""}
    return tuple(ask for cookie in cookies for ask in (*[Ask("/", cookie)] * 9, Ask("/account", cookie, changed)))


def check_written(path: Path) -> None:
    """Raise BenchError when nobody's name is in the database."""
    with closing(sqlite3.connect(path)) as database:
        (written,) = database.execute("SELECT count(*) FROM user WHERE name LIKE 'Ada %'").fetchone()
    if not written:
        raise BenchError(f"{path.name} has nobody's new name")


def far_database(bench: Bench) -> Iterator[Row]:
    """The logged-in page with a database whose answers take 10 ms longer, for 500 clients."""
    with ExitStack() as stack:
        near, near_peer = bench.url("far"), bench.peer_url("far_peer")
        with sites.ours(near, bench.folder / "far") as us:
            cookie = register(us, "ada@example.com")
        port = stack.enter_context(slow_proxy(bench.mariadb.port))
        far, far_peer = (
            make_url(url).set(port=port).render_as_string(hide_password=False) for url in (near, near_peer)
        )
        us = stack.enter_context(sites.ours(far, bench.folder / "far"))
        for threads in (15, 40, 100)[: bench.number(3, brief=1)]:
            with sites.peer(far_peer, bench.folder / "far-peer", threads=threads) as them:
                cookies = {us: cookie, them: register(them, "ada@example.com")}
                clients = bench.number(500, brief=50)
                loads = {site: Load(clients, max(bench.seconds, 2), cookies[site]) for site in (us, them)}
                for site in (us, them):
                    put_load_on(site.url, loads[site]._replace(clients=threads))  # opens the connections
                what = f"a logged-in page, database 10 ms away, 500 clients, {threads} threads"
                yield against(bench, what, us, them, goal=8, loads=loads)


@contextmanager
def slow_proxy(database_port: int) -> Iterator[int]:
    """Run slow_proxy.py, and give the port on which the database is 10 ms away."""
    port = free_port()
    command = ["taskset", "-c", LOAD_CORE, sys.executable, str(HERE / "slow_proxy.py")]
    process = subprocess.Popen([*command, str(port), str(database_port), "10"])
    time.sleep(1)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(10)
