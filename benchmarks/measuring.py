"""The tools of every scenario: a database, sites measured in turn, and rows of the table."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from accounts import LOGGED_IN, check
from sites import Site, wait_until_idle
from sqlalchemy.engine import make_url
from wrk import Load, put_load_on

from support.mariadb_server import MariaDB


@dataclass
class Bench:
    """A MariaDB, a folder, and how often and how long to measure."""

    mariadb: MariaDB
    folder: Path
    brief: bool = False
    seconds: float = 2  # a busy machine may finish no login within one

    @property
    def rounds(self) -> int:
        return 1 if self.brief else 7

    @property
    def password_clients(self) -> int:
        """How many clients log in or register at once: few enough that the site refuses none with 503."""
        return 2 if self.brief else 8

    def number(self, full: int, *, brief: int) -> int:
        return brief if self.brief else full

    def url(self, name: str) -> str:
        """Return the URL of an empty MariaDB database for our site."""
        return self.mariadb.create_database(name, charset="utf8mb4")

    def peer_url(self, name: str) -> str:
        url = make_url(self.url(name)).set(drivername="mysql+pymysql", query={"charset": "utf8mb4"})
        return url.render_as_string(hide_password=False)

    def stored_hash(self, database: str) -> str:
        """Return the password hash of a user."""
        with self.mariadb.connect(database) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT password FROM user LIMIT 1")
            (stored,) = cursor.fetchone() or ("",)
        return str(stored)

    def in_turn(self, *measure: Callable[[], float]) -> list[list[float]]:
        """Measure each in every round, so that a slow minute of the machine affects all. Return the figures of each."""
        figures: list[list[float]] = [[] for _ in measure]
        for number in range(self.rounds):
            order = range(len(measure))
            for which in order if number % 2 == 0 else reversed(order):
                figures[which].append(measure[which]())
        return figures

    def per_second(self, loads: Mapping[Site, Load]) -> list[list[float]]:
        """Return the requests per second of each site, by round. Raises BenchError when a session ended meanwhile."""
        figures = self.in_turn(*(partial(throughput, site, load) for site, load in loads.items()))
        for site, load in loads.items():
            if load.requests[0].path == "/" and load.requests[0].cookies:
                check(site, load.requests[0].cookies, LOGGED_IN)
        return figures


@dataclass
class Row:
    """A line of the table: the thing measured, the thing it is compared with, and the figure of each round."""

    what: str
    against: str  # "" when the figure is compared with nothing
    figures: Sequence[float]
    goal: float | None = None
    at_most: bool = False

    @property
    def median(self) -> float:
        return statistics.median(self.figures)

    @property
    def is_met(self) -> bool:
        if self.goal is None:
            return True
        return self.median <= self.goal if self.at_most else self.median >= self.goal


def throughput(site: Site, load: Load) -> float:
    per_second = put_load_on(site.url, load).per_second
    wait_until_idle(site)
    return per_second


def ratios(one: Sequence[float], other: Sequence[float]) -> list[float]:
    """Return how many times the one is the other, round by round."""
    return [a / b for a, b in zip(one, other, strict=True)]
