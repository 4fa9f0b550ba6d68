"""The benchmarks: a scenario runs once and briefly, whatever its figures. Wrong responses are an error."""

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

from support.app import ROOT
from support.mariadb_server import MariaDB

sys.path.append(str(ROOT / "benchmarks"))
from browser import NAVIGATION, Browser
from wrk import BenchError, Load, Request, put_load_on

ROWS = (
    "front page, anonymous | peer",
    "front page, anonymous | bare",
    "front page, anonymous | empty",
    "front page, logged in | peer",
    "front page, logged in | bare",
)
pytestmark = pytest.mark.long
needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="no wrk on this machine: apt-get install wrk")


@needs_wrk
def test_a_scenario_fills_its_rows(tmp_path: Path) -> None:
    """One of them, as it starts our site, the peer and the floors, and logs in. `make bench` runs all."""
    if MariaDB.find() is None:
        pytest.skip("no mariadbd on this machine: apt-get install mariadb-server")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / folder) for folder in ("src", "tests"))}
    command = [sys.executable, "benchmarks/bench.py", "pages", "--brief", "--output", str(tmp_path)]

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
def test_a_load_with_wrong_responses_is_an_error(expected: int, status: int, location: str, body: bytes) -> None:
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
