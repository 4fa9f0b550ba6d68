"""The benchmarks run: each scenario once and briefly. How fast is not asked here."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT
from mariadb_server import MariaDB

MEASURED = (
    "a stranger's page |",
    "a logged-in page |",
    "a logged-in page, SQLite |",
    "90/10 logged-in pages and changes of the name, SQLite",
    "a logged-in page, database 10 ms away",
    "log-ins, 5,000 users",
    "a logged-in page, 5,000 users",
    "log-ins |",
    "registrations |",
    "changes of the password |",
    "99th percentile of a logged-in page while log-ins saturate",
    "longest hold of the event loop",
    "a stranger's page, two workers",
    "requests for a second of processor time",
    "start to first answer",
    "import of run.py",
    "memory of one worker after 1,000 requests",
)


def test_every_scenario_measures_something(tmp_path: Path) -> None:
    if MariaDB.find() is None or shutil.which("wrk") is None:
        pytest.skip("no mariadbd or no wrk on this machine: apt-get install mariadb-server wrk")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / folder) for folder in ("src", "tests"))}
    command = [sys.executable, "benchmarks/bench.py", "--brief", "--output", str(tmp_path)]
    done = subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    table = (tmp_path / "results.md").read_text()
    assert [what for what in MEASURED if f"| {what}" not in table] == []
    assert (tmp_path / "results.svg").read_text().startswith("<svg")
