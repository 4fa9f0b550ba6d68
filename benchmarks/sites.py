"""The sites that are measured, each a process of its own on the core of the servers."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import httpx
from wrk import SERVER_CORE, BenchError

from support.app import UNLIMITED
from support.mariadb_server import free_port

HERE = Path(__file__).parent
ROOT = HERE.parent
PEER = HERE / "peer_flask"
PEER_VENV = ROOT / ".venv-peer"

# What follows `python`; PORT is replaced by a free port.
RUN = ("run.py", "--bind", "127.0.0.1:PORT")
# By default uvicorn trusts X-Forwarded-For from 127.0.0.1, and logs every request a second time.
UVICORN = ("-m", "uvicorn", "run:app", "--port", "PORT", "--no-proxy-headers", "--no-access-log", "--no-server-header")
GRANIAN = ("-m", "granian", "run:app", "--port", "PORT", "--interface", "asgi")
HYPERCORN = ("-m", "hypercorn", "--bind", "127.0.0.1:PORT")
GUNICORN = (
    *("-m", "gunicorn", "--bind", "127.0.0.1:PORT", "--worker-class", "gthread", "--workers", "1"),
    *("--keep-alive", "75", "--backlog", "2048", "--no-control-socket"),
)


class Site(NamedTuple):
    name: str
    url: str
    pid: int


@contextmanager
def running(
    name: str, command: Sequence[str], folder: Path, log: Path, *, core: str = SERVER_CORE, **settings: str
) -> Iterator[Site]:
    """Run a server until the block ends. Raises BenchError when it does not start."""
    port = str(free_port())
    command = ["taskset", "-c", core, *(part.replace("PORT", port) for part in command)]
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=folder, env={**os.environ, **settings}, stdout=out, stderr=out)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(url, process, log)
        yield Site(name, url, process.pid)
    finally:
        process.terminate()
        process.wait(30)


def wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(300):
        with suppress(httpx.TransportError):
            httpx.get(url, timeout=5)
            return
        if process.poll() is not None:
            raise BenchError(log.read_text())
        time.sleep(0.05)
    raise BenchError(f"{url} does not respond: {log.read_text()}")


@contextmanager
def ours(
    database: str, folder: Path, *, name: str = "ours", command: Sequence[str] = RUN, core: str = SERVER_CORE
) -> Iterator[Site]:
    """Run our site as in production, but without rate limits: all requests come from one IP address."""
    folder.mkdir(exist_ok=True)
    settings = {f"QUART_{limit}": many for limit, many in UNLIMITED.items()}
    settings |= {
        "QUART_INSTANCE_PATH": str(folder),
        "QUART_SQLALCHEMY_DATABASE_URI": database,
        "PYTHONPATH": str(ROOT / "src"),
    }
    upgrade = [sys.executable, "-m", "alembic", "upgrade", "head"]
    subprocess.run(upgrade, cwd=ROOT, env={**os.environ, **settings}, check=True, capture_output=True)
    with running(name, [sys.executable, *command], ROOT, folder / f"{name}.log", core=core, **settings) as site:
        yield site


@contextmanager
def peer(database: str, folder: Path, *, name: str = "peer", threads: int = 8, prepare: bool = True) -> Iterator[Site]:
    """Run the peer; prepare empties its database first."""
    folder.mkdir(exist_ok=True)
    settings = {"PEER_DATABASE": database, "PEER_THREADS": str(threads)}
    python = peer_python()
    if prepare:
        create_tables = [python, "peer.py", "prepare", "a-password-that-is-not-used", "1"]
        subprocess.run(create_tables, cwd=PEER, env={**os.environ, **settings}, check=True, capture_output=True)
    command = [python, *GUNICORN, "--threads", str(threads), "peer:app"]
    with running(name, command, PEER, folder / "log", **settings) as site:
        yield site


@contextmanager
def floor(name: str, folder: Path, **settings: str) -> Iterator[Site]:
    """Run one of floors.py, `empty` or `bare`, under Hypercorn like our site."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, *HYPERCORN, f"floors:{name}"]
    with running(name, command, HERE, folder / "log", **settings) as site:
        yield site


def peer_python() -> str:
    """Return the Python of the peer's own virtual environment, which is created or updated first."""
    stamp, lock = PEER_VENV / "installed", PEER / "requirements.lock"
    if not stamp.exists() or stamp.read_text() != lock.read_text():
        subprocess.run([sys.executable, "-m", "venv", str(PEER_VENV)], check=True)
        install = [f"{PEER_VENV}/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "--no-deps", "--require-hashes", "-r", str(lock)], check=True)
        stamp.write_text(lock.read_text())
    return f"{PEER_VENV}/bin/python"


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a server and of its workers."""
    pids = [pid, *Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    fields = [Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split() for each in pids]
    return sum(int(each[11]) + int(each[12]) for each in fields) / os.sysconf("SC_CLK_TCK")


def wait_until_idle(site: Site) -> None:
    """Wait until a site has finished the requests of clients that left: the next measurement would pay for them."""
    for _ in range(100):
        before = cpu_seconds(site.pid)
        time.sleep(0.1)
        if cpu_seconds(site.pid) - before < 0.02:
            return
    raise BenchError(f"{site.name} does not become idle")
