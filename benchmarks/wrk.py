"""The load: wrk, on a core of its own."""

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

HERE = Path(__file__).parent
SERVER_CORE, LOAD_CORE = "0", "1"


class BenchError(Exception):
    """What was measured did not work, so its time means nothing."""


class Ask(NamedTuple):
    """A request. Each # in its form becomes something that no other request has."""

    path: str = "/"
    cookies: str = ""
    form: Mapping[str, str] | None = None  # makes it a POST, which is answered with a redirect
    status: int = 0  # of the answer: its first digit counts

    def as_line(self) -> str:
        """Return it as replay.lua reads it."""
        method, body = ("GET", "") if self.form is None else ("POST", urlencode(self.form, safe="#"))
        status = self.status or (200 if self.form is None else 303)
        return "\t".join([method, self.path, str(status)[0], self.cookies, body]) + "\n"


class Load(NamedTuple):
    """So many clients, who ask again as soon as they are answered: for one page, or for several in turn."""

    clients: int = 16
    seconds: float = 3
    cookie: str = ""
    asks: tuple[Ask, ...] = ()


class Figures(NamedTuple):
    per_second: float
    p99: float  # milliseconds
    requests: int


def put_load_on(url: str, load: Load) -> Figures:
    """Return what the server bore. Raises BenchError when an answer was not what it should be, or was none."""
    wrk = shutil.which("wrk")
    if wrk is None:
        raise BenchError("wrk is missing: apt-get install wrk")
    command = ["taskset", "-c", LOAD_CORE, wrk, "-t1", f"-c{load.clients}", f"-d{load.seconds:g}s", "--latency"]
    command += ["--timeout", "20s", *(["-H", f"Cookie: {load.cookie}"] if load.cookie else [])]
    with tempfile.NamedTemporaryFile("w") as file:
        file.writelines(ask.as_line() for ask in load.asks)
        file.flush()
        replay = ["-s", str(HERE / "replay.lua"), url, "--", file.name, str(time.time_ns())]
        command += replay if load.asks else [url]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    right = "Wrong answers: 0\n" in said if load.asks else "Non-2xx" not in said
    if not right or "Socket errors" in said:
        raise BenchError(f"{url}: {said}")
    return read(said)


def read(said: str) -> Figures:
    per_second, requests = re.search(r"Requests/sec: +([\d.]+)", said), re.search(r"(\d+) requests in", said)
    p99 = re.search(r"99% +([\d.]+)(us|ms|s)", said)
    if not per_second or not requests or not p99 or requests[1] == "0":
        raise BenchError(said)
    milliseconds = float(p99[1]) * {"us": 0.001, "ms": 1, "s": 1000}[p99[2]]
    return Figures(float(per_second[1]), milliseconds, int(requests[1]))
