"""The site in a process of its own: run.py on a free port."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

from support.app import ROOT
from support.server_process import running


@dataclass
class Site:
    """A running server and its URL."""

    process: "Popen[bytes]"
    url: str


@contextmanager
def running_copy(root: Path, instance: Path, **settings: str) -> Iterator[Site]:
    """Run the project in `root` until the block ends. A database in the instance folder is migrated first."""
    named: dict[str, Any] = {name.removeprefix("QUART_"): value for name, value in settings.items()}
    with running(instance, "--upgrade", folder=root, **named) as server:
        yield Site(server.process, f"http://{server.address.replace('127.0.0.1', 'localhost')}")
        server.end()


def running_site(instance: Path, **settings: str) -> AbstractContextManager[Site]:
    return running_copy(ROOT, instance, **settings)
