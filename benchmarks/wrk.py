"""The load: wrk on a core of its own, with the headers of a browser."""

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

from browser import headers_for

HERE = Path(__file__).parent
SERVER_CORE, LOAD_CORE = "0", "1"


class BenchError(Exception):
    """A measured site sent wrong responses or failed, so its figures mean nothing."""


class Request(NamedTuple):
    """A request. Each # in its form becomes a text that is unique in the run."""

    path: str = "/"
    cookies: str = ""
    form: Mapping[str, str] | None = None  # makes it a POST, whose response is a redirect
    status: int = 0  # expected; only its first digit counts

    def as_line(self, url: str) -> str:
        """Return the line that replay.lua reads: method, path, status, body, and then names and values of headers."""
        is_form = self.form is not None
        method, body = ("POST", urlencode(self.form or {}, safe="#")) if is_form else ("GET", "")
        status = self.status or (303 if is_form else 200)
        headers = headers_for(url, self.path, is_form=is_form, cookies=self.cookies)
        fields = [method, self.path, str(status)[0], body]
        return "\t".join([*fields, *(text for pair in headers.items() for text in pair)]) + "\n"


class Load(NamedTuple):
    """Concurrent clients, each of which sends its next request as soon as it has a response."""

    clients: int = 16
    seconds: float = 2
    requests: tuple[Request, ...] = (Request(),)  # sent in turn


class Figures(NamedTuple):
    per_second: float
    p99_milliseconds: float
    requests: int


def put_load_on(url: str, load: Load) -> Figures:
    """Return the figures of wrk. Raises BenchError when a response was missing, empty or of another kind."""
    wrk = shutil.which("wrk")
    if wrk is None:
        raise BenchError("wrk is missing: apt-get install wrk")
    command = ["taskset", "-c", LOAD_CORE, wrk, "-t1", f"-c{load.clients}", f"-d{load.seconds:g}s", "--latency"]
    with tempfile.NamedTemporaryFile("w") as file:
        file.writelines(request.as_line(url) for request in load.requests)
        file.flush()
        command += ["--timeout", "20s", "-s", str(HERE / "replay.lua"), url, "--", file.name, str(time.time_ns())]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Wrong responses: 0\n" not in output or "Socket errors" in output:
        raise BenchError(f"{url}: {output}")
    return parse(output)


def parse(output: str) -> Figures:
    per_second, requests = re.search(r"Requests/sec: +([\d.]+)", output), re.search(r"(\d+) requests in", output)
    p99 = re.search(r"99% +([\d.]+)(us|ms|s)", output)
    if not per_second or not requests or not p99 or requests[1] == "0":
        raise BenchError(output)
    milliseconds = float(p99[1]) * {"us": 0.001, "ms": 1, "s": 1000}[p99[2]]
    return Figures(float(per_second[1]), milliseconds, int(requests[1]))
