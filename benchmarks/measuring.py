"""What every scenario needs: a database, two things in turn, and a row of the table."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from accounts import check
from sites import Site, wait_until_idle
from sqlalchemy.engine import make_url
from wrk import Load, put_load_on

from mariadb_server import MariaDB

CLOCK = "the clock"  # what is compared with nothing


@dataclass
class Bench:
    """A MariaDB, a folder, and how long and often to measure."""

    mariadb: MariaDB
    folder: Path
    brief: bool = False

    @property
    def rounds(self) -> int:
        return 1 if self.brief else 9

    @property
    def seconds(self) -> float:
        return 1 if self.brief else 2

    def number(self, full: int, *, brief: int) -> int:
        return brief if self.brief else full

    def url(self, name: str) -> str:
        """Return an empty MariaDB database of our own kind."""
        return self.mariadb.create_database(name, charset="utf8mb4")

    def peer_url(self, name: str) -> str:
        url = make_url(self.url(name)).set(drivername="mysql+pymysql", query={"charset": "utf8mb4"})
        return url.render_as_string(hide_password=False)

    def in_turn(self, one: Callable[[], float], other: Callable[[], float]) -> list[float]:
        """Measure both by turns, and return how much more the first one did each time."""
        return [one() / other() for _ in range(self.rounds)]


@dataclass
class Row:
    """A line of the table: what was measured against what, and the ratios."""

    what: str
    against: str
    goal: float  # 0: none
    ratios: list[float]
    at_most: bool = False

    @property
    def median(self) -> float:
        return statistics.median(self.ratios)

    @property
    def is_met(self) -> bool:
        return self.median <= self.goal if self.at_most else self.median >= self.goal


def against(
    bench: Bench, what: str, us: Site, them: Site, *, goal: float, loads: Mapping[Site, Load] | None = None
) -> Row:
    """Measure the same load on us and on them: strangers who look at the front page, if nothing else is said."""
    loads = loads or dict.fromkeys((us, them), Load(seconds=bench.seconds))

    def bear(site: Site) -> float:
        borne = put_load_on(site.url, loads[site]).per_second
        wait_until_idle(site)
        return borne

    ratios = bench.in_turn(lambda: bear(us), lambda: bear(them))
    for site, load in loads.items():
        if load.cookie and site in (us, them):
            check(site, load.cookie, "Logged in as")  # still: what was measured was what is meant
    return Row(what, them.name, goal, ratios)
