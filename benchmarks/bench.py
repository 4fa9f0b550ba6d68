"""Measure this site against the peer and the floors: `make bench`, or `python bench.py --brief pages passwords`."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import report
from measuring import Bench, Row
from scenarios import SCENARIOS
from wrk import LOAD_CORE, BenchError

from mariadb_server import MariaDB

HERE = Path(__file__).parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="scenario", help=f"of {', '.join(SCENARIOS)} (default: all)")
    parser.add_argument("--brief", action="store_true", help="one short round each: to see that it works, not how fast")
    parser.add_argument("--output", type=Path, help="folder of results.md and results.svg (default: here, if all ran)")
    options = parser.parse_args()
    if unknown := set(options.names) - set(SCENARIOS):
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    mariadb = MariaDB.find()
    if mariadb is None:
        parser.error("mariadbd is missing: apt-get install mariadb-server")
    os.sched_setaffinity(0, {int(LOAD_CORE)})  # and so does all that is started from here, but the servers
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with mariadb.running(folder / "mariadb"):
            bench = Bench(mariadb, folder, brief=options.brief)
            rows = measure(bench, options.names or list(SCENARIOS))
    output: Path | None = options.output or (None if options.names or options.brief else HERE)
    if output:
        report.write(rows, output)
    return 0


def measure(bench: Bench, names: list[str]) -> list[Row]:
    rows = []
    for name in names:
        for row in SCENARIOS[name](bench):
            print(f"{row.what} / {row.against}: {report.shown(row)} ({report.spread(row)})", flush=True)  # noqa: T201
            rows.append(row)
    return rows


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchError as error:
        sys.exit(f"Cannot measure: {error}")
