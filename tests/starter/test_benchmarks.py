"""The benchmarks: one brief run of a scenario works, whatever its figures are. Wrong responses are an error."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.app import ROOT
from support.mariadb_server import MariaDB
from support.site_process import Site

sys.path.append(str(ROOT / "benchmarks"))
from wrk import BenchError, Load, Request, put_load_on

ROWS = ("anonymous | peer", "anonymous | bare", "anonymous | empty", "logged in | peer", "logged in | bare")
pytestmark = pytest.mark.long
needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="no wrk on this machine: apt-get install wrk")


@needs_wrk
def test_a_scenario_fills_its_rows(tmp_path: Path) -> None:
    """Run one scenario, which starts the site, the peer and the floors, and logs in. `make bench` runs all of them."""
    if MariaDB.find() is None:
        pytest.skip("no mariadbd on this machine: apt-get install mariadb-server")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / folder) for folder in ("src", "tests"))}
    command = [sys.executable, "benchmarks/bench.py", "pages", "--brief", "--output", str(tmp_path)]

    bench = subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True)

    assert bench.returncode == 0, bench.stderr
    table = (tmp_path / "results.md").read_text()
    assert [row for row in ROWS if f"| front page, {row}" not in table] == []
    assert (tmp_path / "results.svg").read_text().startswith("<svg")


@needs_wrk
@pytest.mark.parametrize("wrong", [Request("/nowhere"), Request("/", status=303), Request("/account", status=303)])
def test_a_load_with_wrong_responses_is_an_error(site: Site, wrong: Request) -> None:
    with pytest.raises(BenchError):
        put_load_on(site.url, Load(1, 1, (wrong,)))
