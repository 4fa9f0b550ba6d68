"""What is measured: each scenario puts the same load on two things in turn, and gives the ratios."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import sites
from sites import HERE, PASSWORD, ROOT, Site
from sqlalchemy.engine import make_url
from wrk import LOAD_CORE, SERVER_CORE, Load, put_load_on

from mariadb_server import MariaDB, free_port

PEOPLE = 20  # who log in, one after the other
SECRET = "of-the-bare-floor"


@dataclass
class Bench:
    """What the scenarios need: a MariaDB, a folder, and how long and often to measure."""

    mariadb: MariaDB
    folder: Path
    rounds: int = 5
    seconds: float = 3

    def url(self, name: str) -> str:
        """Return an empty MariaDB database of our own kind."""
        return self.mariadb.create_database(name, charset="utf8mb4")

    def peer_url(self, name: str) -> str:
        url = make_url(self.mariadb.create_database(name, charset="utf8mb4"))
        return url.set(drivername="mysql+pymysql", query={"charset": "utf8mb4"}).render_as_string(hide_password=False)

    def in_turn(self, one: Callable[[], float], other: Callable[[], float]) -> list[float]:
        """Measure both by turns, and return how much more the first one did each time."""
        return [one() / other() for _ in range(self.rounds)]


@dataclass
class Row:
    """A line of the table: what was measured against what, and the ratios."""

    what: str
    against: str
    goal: float
    ratios: list[float]
    at_most: bool = False

    @property
    def median(self) -> float:
        return statistics.median(self.ratios)

    @property
    def is_met(self) -> bool:
        return self.median <= self.goal if self.at_most else self.median >= self.goal


def pages(bench: Bench) -> Iterator[Row]:
    """The front page, for a stranger and for somebody who is logged in."""
    with ExitStack() as stack:
        us = stack.enter_context(sites.ours(bench.url("pages"), bench.folder / "ours"))
        them = stack.enter_context(sites.peer(bench.peer_url("pages_peer"), bench.folder / "peer"))
        bare_url = (
            make_url(bench.mariadb.create_database("unused"))
            .set(database="pages")
            .render_as_string(hide_password=False)
        )
        bare = stack.enter_context(sites.floor("bare", bench.folder / "bare", FLOOR_DATABASE=bare_url))
        empty = stack.enter_context(sites.floor("empty", bench.folder / "empty"))

        yield against(bench, "a stranger's page", us, them, goal=1.0)
        yield against(bench, "a stranger's page", us, bare, goal=0.75)
        yield against(bench, "a stranger's page", us, empty, goal=0.0)
        cookies = {us: sites.register(us, "ada@example.com"), them: sites.register(them, "ada@example.com")}
        cookies[bare] = log_in_to_bare(bench, bare)
        yield against(bench, "a logged-in page", us, them, goal=1.5, cookies=cookies)
        yield against(bench, "a logged-in page", us, bare, goal=0.75, cookies=cookies)


def sqlite(bench: Bench) -> Iterator[Row]:
    """The logged-in page with the database in a file."""
    with ExitStack() as stack:
        us = stack.enter_context(
            sites.ours(f"sqlite+aiosqlite:///{bench.folder}/ours.db", bench.folder / "ours-sqlite")
        )
        them = stack.enter_context(sites.peer(f"sqlite:///{bench.folder}/peer.db", bench.folder / "peer-sqlite"))
        cookies = {site: sites.register(site, "ada@example.com") for site in (us, them)}
        yield against(bench, "a logged-in page, SQLite", us, them, goal=1.2, cookies=cookies)


def far_database(bench: Bench) -> Iterator[Row]:
    """The logged-in page with a database whose answers take 10 ms longer, for 500 clients."""
    load = Load(clients=500, seconds=max(bench.seconds, 2))
    with ExitStack() as stack:
        near, near_peer = bench.url("far"), bench.peer_url("far_peer")
        us = stack.enter_context(sites.ours(near, bench.folder / "far-setup"))
        cookie = sites.register(us, "ada@example.com")
        key = (bench.folder / "far-setup/secret_key").read_text()
        port = stack.enter_context(slow_proxy(bench.mariadb.port))
        (bench.folder / "far").mkdir(exist_ok=True)
        (bench.folder / "far/secret_key").write_text(key)
        far = make_url(near).set(port=port).render_as_string(hide_password=False)
        us = stack.enter_context(sites.ours(far, bench.folder / "far"))
        for threads in (15, 40, 100):
            far_peer = make_url(near_peer).set(port=port).render_as_string(hide_password=False)
            with sites.peer(far_peer, bench.folder / "far-peer", threads=threads) as them:
                cookies = {us: cookie, them: sites.register(them, "ada@example.com")}
                what = f"a logged-in page, database 10 ms away, 500 clients, {threads} threads"
                yield against(bench, what, us, them, goal=8, cookies=cookies, load=load)


def log_ins(bench: Bench) -> Iterator[Row]:
    """Log-ins against argon2 alone on the same core, and against the peer."""
    with ExitStack() as stack:
        us = stack.enter_context(sites.ours(bench.url("log_ins"), bench.folder / "log-ins"))
        them = stack.enter_context(
            sites.peer(bench.peer_url("log_ins_peer"), bench.folder / "log-ins-peer", people=PEOPLE)
        )
        emails = [f"user{number}@example.com" for number in range(1, PEOPLE + 1)]
        for email in emails:
            sites.register(us, email)

        def log_in_to(site: Site) -> float:
            return put_load_on(site.url, load[site]).per_second

        load = {site: log_in_load(bench, site, emails) for site in (us, them)}
        floor = bench.in_turn(lambda: log_in_to(us), lambda: argon2_alone(bench.seconds))
        yield Row("log-ins", "argon2 alone", 0.9, floor)
        yield Row("log-ins", "peer", 1.0, bench.in_turn(lambda: log_in_to(us), lambda: log_in_to(them)))


def calm(bench: Bench) -> Iterator[Row]:
    """The 99th percentile of a logged-in page while log-ins saturate the core, against the same without them."""
    with sites.ours(bench.url("calm"), bench.folder / "calm") as us:
        emails = [f"user{number}@example.com" for number in range(1, PEOPLE + 1)]
        for email in emails:
            sites.register(us, email)
        cookie = sites.register(us, "ada@example.com")
        page = Load(clients=2, seconds=bench.seconds)
        flood = log_in_load(bench, us, emails)._replace(seconds=bench.seconds + 2)

        def p99() -> float:
            return put_load_on(us.url, page, cookie=cookie).p99

        def p99_in_the_flood() -> float:
            with ThreadPoolExecutor(1) as beside:
                flooding = beside.submit(put_load_on, us.url, flood)
                time.sleep(1)
                measured = p99()
                flooding.result()
            return measured

        ratios = bench.in_turn(p99_in_the_flood, p99)
        yield Row("99th percentile of a logged-in page while log-ins saturate", "without", 3, ratios, at_most=True)


def workers(bench: Bench) -> Iterator[Row]:
    """Two workers on two cores, which the load generator shares, against one."""
    with ExitStack() as stack:
        one = stack.enter_context(sites.ours(bench.url("one"), bench.folder / "one", core="0,1"))
        two = stack.enter_context(sites.ours(bench.url("two"), bench.folder / "two", workers=2, core="0,1"))
        yield against(bench, "a stranger's page, two workers", two, one, goal=1.7)


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
    yield Row("start to first answer, in seconds", "the clock", 1.0, seconds, at_most=True)
    imports = []
    for _ in range(bench.rounds):
        since = time.monotonic()
        subprocess.run([sys.executable, "-c", "import run"], cwd=ROOT, check=True)
        imports.append(time.monotonic() - since)
    yield Row("import of run.py with the interpreter, in seconds", "the clock", 0.6, imports, at_most=True)


SCENARIOS = {each.__name__: each for each in (pages, sqlite, far_database, log_ins, calm, workers, start)}


def against(
    bench: Bench,
    what: str,
    us: Site,
    them: Site,
    *,
    goal: float,
    cookies: dict[Site, str] | None = None,
    load: Load | None = None,
) -> Row:
    """Measure a page of ours against the same of theirs."""
    cookies, load = cookies or {}, load or Load(seconds=bench.seconds)

    def bear(site: Site) -> float:
        return put_load_on(site.url, load, cookie=cookies.get(site, "")).per_second

    ratios = bench.in_turn(lambda: bear(us), lambda: bear(them))
    for site, cookie in cookies.items():
        sites.check(site, cookie, "Logged in as")  # still: what was measured was what is meant
    return Row(what, them.name, goal, ratios)


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


def log_in_to_bare(bench: Bench, bare: Site) -> str:
    digest, soon = f"sha2('{SECRET}', 256)", "now() + interval 1 day"
    columns = "user_id, digest, remember, created_on, last_seen_on, authenticated_on, expires_on, ip, user_agent"
    values = f"id, {digest}, 0, now(), now(), now(), {soon}, '', ''"
    bench.mariadb.execute(f"INSERT INTO user_session ({columns}) SELECT {values} FROM user LIMIT 1", database="pages")
    cookie = f"secret={SECRET}"
    sites.check(bare, cookie, "Logged in as")
    return cookie


def log_in_load(bench: Bench, site: Site, emails: list[str]) -> Load:
    """Return the load of people who log in again and again, with a browser that they used before."""
    people = bench.folder / f"people-{site.name}"
    people.write_text("".join(f"{email}\t{sites.known_browser(site, email)}\n" for email in emails))
    return Load(clients=8, seconds=bench.seconds, script="log_in.lua", arguments=(str(people), PASSWORD))


def argon2_alone(seconds: float) -> float:
    command = ["taskset", "-c", SERVER_CORE, sys.executable, str(HERE / "argon2_alone.py"), str(seconds), "2"]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
