"""The benchmarks: each scenario runs once and briefly, without goals for its figures. Wrong responses are noticed."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from conftest import ROOT
from mariadb_server import MariaDB

sys.path.append(str(ROOT / "benchmarks"))
from browser import NAVIGATION, Browser
from wrk import BenchError, Load, Request, put_load_on

ROWS = (
    "front page, anonymous | peer",
    "front page, anonymous | bare",
    "front page, anonymous | empty",
    "front page, logged in | peer",
    "front page, logged in | bare",
    "front page, anonymous, uvicorn | run.py",
    "front page, anonymous, granian | run.py",
    "front page, logged in, uvicorn | run.py",
    "front page, logged in, granian | run.py",
    "front page, logged in, SQLite | peer",
    "90/10 logged-in pages and changes of the name, SQLite, 50 clients | peer",
    "front page, logged in, database 10 ms away, 50 clients | peer, 15 threads",
    "front page, logged in, database 10 ms away, 50 clients, worst round | its median",
    "logins, 5,000 users and 15,000 sessions | 1,000 and 3,000",
    "front page, logged in, 5,000 users and 15,000 sessions | 1,000 and 3,000",
    "logins | argon2 alone",
    "logins | peer",
    "registrations | argon2 alone",
    "registrations | peer",
    "99th percentile of a logged-in page during a flood of logins | without",
    "front page, anonymous, two workers, 64 clients | one worker",
    "start to first response, in seconds |",
    "memory of one worker after 1,000 requests, in MB |",
    "memory after 1,000 requests | after 200",
)
needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="no wrk on this machine: apt-get install wrk")


@needs_wrk
def test_every_scenario_fills_its_rows(tmp_path: Path) -> None:
    if MariaDB.find() is None:
        pytest.skip("no mariadbd on this machine: apt-get install mariadb-server")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / folder) for folder in ("src", "tests"))}
    command = [sys.executable, "benchmarks/bench.py", "--brief", "--output", str(tmp_path)]

    bench = subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True)

    assert bench.returncode == 0, bench.stderr
    table = (tmp_path / "results.md").read_text()
    assert [row for row in ROWS if f"| {row}" not in table] == []
    assert (tmp_path / "results.svg").read_text().startswith("<svg")


@needs_wrk
def test_wrk_and_python_send_the_headers_of_a_browser() -> None:
    with server() as (url, received):
        put_load_on(url, Load(1, 1, (Request("/", cookies="secret=x"),)))
        with Browser(url) as browser:
            browser.open("/", cookies="secret=x")

    expected = {**NAVIGATION, "Host": url.removeprefix("http://"), "Cookie": "secret=x"}
    assert received[0] == received[-1] == expected


@needs_wrk
@pytest.mark.parametrize(
    ("expected", "status", "location", "body"),
    [(200, 500, "", b"broken"), (200, 200, "", b""), (303, 303, "/login?next=/", b"elsewhere")],
)
def test_a_load_with_wrong_responses_is_refused(expected: int, status: int, location: str, body: bytes) -> None:
    with server(status, location, body) as (url, _), pytest.raises(BenchError):
        put_load_on(url, Load(1, 1, (Request(status=expected),)))


@contextmanager
def server(status: int = 200, location: str = "", body: bytes = b"hello") -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Serve the same response to every request, and give the URL and the headers received."""
    received: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            received.append(dict(self.headers))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}", received
        finally:
            listening.shutdown()
