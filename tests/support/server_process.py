"""A server in a process of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from support.app import ROOT, SECRET_KEY
from support.mariadb_server import free_port

RUN = (sys.executable, "run.py")
HYPERCORN = (str(Path(sys.executable).with_name("hypercorn")), "run:app")
TIMEOUT_SECONDS = 60  # seconds: a busy machine is slow to start a process


@dataclass
class Server:
    """A running server and its log."""

    process: "subprocess.Popen[bytes]"
    log: Path
    address: str

    @property
    def starts(self) -> int:
        return self.log.read_text().count(f"Running on http://{self.address} ")

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://{self.address}{path}", timeout=TIMEOUT_SECONDS)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds. Fails if the process ends first."""
        until = time.monotonic() + TIMEOUT_SECONDS
        while not condition():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.05)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(TIMEOUT_SECONDS)


def environment(instance: Path, settings: dict[str, Any]) -> dict[str, str]:
    """Return the environment of the tests with these settings and no others."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("QUART_")}
    ours = {"INSTANCE_PATH": str(instance), "SECRET_KEY": SECRET_KEY} | settings
    return others | {f"QUART_{key}": value for key, value in ours.items()}


@contextmanager
def running(
    instance: Path,
    *options: str,
    command: tuple[str, ...] = RUN,
    address: str = "",
    workers: int = 1,
    folder: Path = ROOT,
    listener: socket.socket | None = None,
    **settings: str,
) -> Iterator[Server]:
    """Start a server, wait until each of its workers listens, and kill remaining processes at the end.

    It inherits a listening socket, as from systemd, and is told so by BIND.
    """
    if listener:
        settings["BIND"], address = f"fd://{listener.fileno()}", "127.0.0.1:{}".format(*listener.getsockname()[1:])
    log, address = instance / "log", address or f"127.0.0.1:{free_port()}"
    paths = [str(folder / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    source = {"PYTHONPATH": os.pathsep.join(paths)} if (folder / "src").exists() else {}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *options],
            cwd=folder,
            env=environment(instance, {"BIND": address} | settings) | source,
            stdout=output,
            stderr=output,
            pass_fds=[listener.fileno()] if listener else [],
            start_new_session=True,  # the process and its workers are one group, which we may end together
        )
    server = Server(process, log, address)
    try:
        server.wait_for(lambda: server.starts == workers)
        yield server
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(TIMEOUT_SECONDS)


def refusal(instance: Path, *options: str, **settings: str) -> str:
    """Return the error with which the start fails: one line, and no traceback."""
    command, env = [*RUN, *options], environment(instance, settings)
    env = {name: value for name, value in env.items() if not name.startswith("COV")}  # coverage writes messages too
    done = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS
    )
    assert (done.returncode, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


def wait_until_it_listens(port: int, host: str = "127.0.0.1") -> None:
    for _ in range(600):
        try:
            socket.create_connection((host, port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(port)
