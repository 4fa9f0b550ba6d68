"""The load: wrk, on a core of its own."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
SERVER_CORE, LOAD_CORE = "0", "1"


class BenchError(Exception):
    """What was measured did not work, so its time means nothing."""


class Load(NamedTuple):
    """So many clients, who ask again as soon as they are answered."""

    clients: int = 16
    seconds: float = 3
    script: str = ""  # of load/, for requests that differ
    arguments: tuple[str, ...] = ()


class Figures(NamedTuple):
    per_second: float
    p99: float  # milliseconds


def put_load_on(url: str, load: Load, *, cookie: str = "") -> Figures:
    """Return what the server bore. Raises BenchError when an answer was an error, or was none."""
    wrk = shutil.which("wrk")
    if wrk is None:
        raise BenchError("wrk is missing: apt-get install wrk")
    command = ["taskset", "-c", LOAD_CORE, wrk, "-t1", f"-c{load.clients}", f"-d{load.seconds:g}s", "--latency"]
    command += ["--timeout", "20s", *(["-H", f"Cookie: {cookie}"] if cookie else [])]
    command += ["-s", str(HERE / load.script)] if load.script else []
    said = subprocess.run([*command, url, "--", *load.arguments], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise BenchError(f"{url}: {said}")
    per_second, p99 = re.search(r"Requests/sec: +([\d.]+)", said), re.search(r"99% +([\d.]+)(us|ms|s)", said)
    if not per_second or not p99 or float(per_second[1]) == 0:
        raise BenchError(f"{url}: {said}")
    return Figures(float(per_second[1]), float(p99[1]) * {"us": 0.001, "ms": 1, "s": 1000}[p99[2]])
