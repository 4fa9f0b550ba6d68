"""The site in a process of its own: run.py on a free port."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from support.app import ROOT
from support.mariadb_server import free_port


@dataclass
class Site:
    """A running server, its URL, and its instance folder."""

    process: "subprocess.Popen[str]"
    url: str
    instance: Path


@contextmanager
def running_site(instance: Path, *arguments: str, **settings: str) -> Iterator[Site]:
    """Run the site until the block ends. A database in the instance folder is migrated first."""
    with running_at(free_port(), ROOT, instance, *arguments, **settings) as site:
        yield site


@contextmanager
def running_copy(root: Path, instance: Path, *arguments: str, **settings: str) -> Iterator[Site]:
    """Run a copy of the project that is in another folder."""
    with running_at(free_port(), root, instance, *arguments, **settings) as site:
        yield site


@contextmanager
def running_at(port: int, root: Path, instance: Path, *arguments: str, **settings: str) -> Iterator[Site]:
    """Run the project in `root` on this port."""
    command = [sys.executable, "run.py", "--upgrade", "--bind", f"127.0.0.1:{port}", *arguments]
    paths = {"QUART_INSTANCE_PATH": str(instance), "PYTHONPATH": str(root / "src")}
    environment = {**os.environ, **paths, **settings}
    with (instance / "server.log").open("w") as log:
        process = subprocess.Popen(command, cwd=root, env=environment, stdout=log, stderr=log, text=True)
    try:
        wait_until_it_answers(process, f"http://127.0.0.1:{port}/healthz")
        yield Site(process, f"http://localhost:{port}", instance)
    finally:
        process.terminate()
        process.wait(20)


def wait_until_it_answers(process: "subprocess.Popen[str]", url: str) -> None:
    for _ in range(200):
        try:
            httpx.get(url, timeout=5)
        except httpx.TransportError:
            assert process.poll() is None, "the site did not start"
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(url)
