"""The benchmarks run: each scenario once and briefly. How fast is not asked here."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT
from mariadb_server import MariaDB


@pytest.mark.slow
def test_every_scenario_measures_something(tmp_path: Path) -> None:
    if MariaDB.find() is None or shutil.which("wrk") is None:
        pytest.skip("no mariadbd or no wrk on this machine: apt-get install mariadb-server wrk")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / folder) for folder in ("src", "tests"))}
    command = [sys.executable, "benchmarks/bench.py", "--brief", "--output", str(tmp_path)]
    done = subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    table = (tmp_path / "results.md").read_text()
    assert all(f"| {what} |" in table for what in ("a stranger's page", "a logged-in page", "log-ins"))
    assert (tmp_path / "results.svg").read_text().startswith("<svg")
