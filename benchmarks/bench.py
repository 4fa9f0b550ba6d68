"""Measure this site: `make bench`, or some scenarios by `make bench ARGS="pages passwords"`."""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import report
from measuring import Bench, Row
from scenarios import SCENARIOS
from wrk import LOAD_CORE, BenchError

from support.mariadb_server import MariaDB

HERE = Path(__file__).parent


def main() -> int:
    options, mariadb = parse_options()
    os.sched_setaffinity(0, {int(LOAD_CORE)})  # for wrk and the database too; the servers move to the other core
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with mariadb.running(folder / "mariadb"):
            rows = measure(Bench(mariadb, folder, brief=options.brief), options.names or list(SCENARIOS))
    output: Path | None = options.output or (None if options.names or options.brief else HERE)
    if output:
        report.write(rows, output)
    return 0


def parse_options() -> tuple[argparse.Namespace, MariaDB]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="scenario", help=f"of {', '.join(SCENARIOS)} (default: all)")
    parser.add_argument("--brief", action="store_true", help="one short round each: shows that it works, not how fast")
    parser.add_argument("--output", type=Path, help="folder of results.md and results.svg (default: here, if all ran)")
    options = parser.parse_args()
    if unknown := set(options.names) - set(SCENARIOS):
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    mariadb = MariaDB.find()
    if mariadb is None:
        parser.error("mariadbd is missing: apt-get install mariadb-server")
    return options, mariadb


def measure(bench: Bench, names: Sequence[str]) -> list[Row]:
    rows = []
    for name in names:
        since = time.monotonic()
        for row in SCENARIOS[name](bench):
            show(f"{report.label(row)}: {row.median:.2f} ({report.spread(row)}) {report.goal(row)}")
            rows.append(row)
        show(f"  {name} took {time.monotonic() - since:.0f} s")
    return rows


def show(line: str) -> None:
    print(line.rstrip(), flush=True)  # noqa: T201 # the command's output


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchError as error:
        sys.exit(f"Cannot measure: {error}")
