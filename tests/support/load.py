"""Many clients at once, what became of each of their requests, and servers that let so many in."""

import asyncio
import logging
import random
import shutil
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

import httpx

from support.actions import PASSWORD
from support.app import UNLIMITED
from support.server_process import TIMEOUT_SECONDS, Server, running

T = TypeVar("T")
FORM = {"content-type": "application/x-www-form-urlencoded"}
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # else httpx reads every certificate for each client

logging.getLogger("httpx").setLevel(logging.WARNING)  # else a failure shows each of thousands of requests


@dataclass
class Outcome:
    """One request: when it began, how long it took, and its status, or why there is none."""

    path: str
    begun: float
    took: float
    status: int | str
    retry_after: str | None = None

    @property
    def ended(self) -> float:
        return self.begun + self.took


def instance_in(folder: Path, template: Path) -> Path:
    """Make an instance folder with an empty database at head."""
    folder.mkdir()
    shutil.copy(template, folder / "app.db")
    return folder


def serving_many(
    instance: Path, *, workers: int, uri: str = "", address: str = "", proxies: int = 0
) -> AbstractContextManager[Server]:
    """Run the site without the rate limits for one IP address."""
    settings: dict[str, Any] = {"SQLALCHEMY_DATABASE_URI": uri, "TRUSTED_PROXIES": str(proxies)} | UNLIMITED
    return running(instance, "--workers", str(workers), workers=workers, address=address, **settings)


def client_of(server: Server) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://{server.address}", timeout=TIMEOUT_SECONDS, verify=NO_TLS)


async def ask(client: httpx.AsyncClient, path: str) -> Outcome:
    return await noted(path, client.build_request("GET", path), client)


async def register(client: httpx.AsyncClient, email: str) -> Outcome:
    form = {"email": email, "password": PASSWORD, "password_confirm": PASSWORD}
    return await noted("/register", client.build_request("POST", "/register", data=form), client)


async def send_slowly(client: httpx.AsyncClient, seconds: float, begun: asyncio.Barrier) -> Outcome:
    """Send a form byte by byte for this long, once every other client has begun too.

    The form requests a password reset: the site writes to its database, and hashes no password.
    """
    body = urlencode({"email": "unknown@example.com"}).encode()

    async def trickle() -> AsyncIterator[bytes]:
        yield body[:1]
        await begun.wait()
        for byte in body[1:]:
            await asyncio.sleep(seconds / len(body))
            yield bytes([byte])

    return await noted("/reset", client.build_request("POST", "/reset", content=trickle(), headers=FORM), client)


async def noted(path: str, request: httpx.Request, client: httpx.AsyncClient) -> Outcome:
    begun = time.monotonic()
    try:
        response = await client.send(request)  # raises also for a response that is cut off
    except httpx.HTTPError as error:
        return Outcome(path, begun, time.monotonic() - begun, repr(error))
    return Outcome(path, begun, time.monotonic() - begun, response.status_code, response.headers.get("Retry-After"))


@dataclass
class Crowd:
    """Clients that register users and get a page, one after the other, and clients that get the watched paths."""

    server: Server
    people: int = 8
    watched: tuple[str, ...] = ("/healthz", *["/readyz"] * 4)
    outcomes: list[Outcome] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    go_on: bool = True

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self.people):
                tasks.create_task(self.register_and_look())
            for path in self.watched:
                tasks.create_task(self.look_after(path))
            yield
            self.go_on = False

    async def register_and_look(self) -> None:
        """Register a user, and get a page with the session cookie of the last one who was registered."""
        known = httpx.Cookies()
        async with client_of(self.server) as client:
            while self.go_on:
                email = f"{random.getrandbits(64)}@example.com"
                client.cookies.clear()
                self.outcomes.append(outcome := await register(client, email))
                if outcome.status == 303:
                    self.acknowledged.append(email)
                    known = httpx.Cookies(client.cookies)
                if known:  # else the page would be an anonymous one, which needs no database
                    client.cookies = known
                    self.outcomes.append(await ask(client, "/"))

    async def look_after(self, path: str) -> None:
        async with client_of(self.server) as client:
            while self.go_on:
                self.outcomes.append(await ask(client, path))
                await asyncio.sleep(random.uniform(0.1, 0.3))  # noqa: S311 # no secret

    async def post_forms(self, connection: str = "keep-alive") -> None:
        """Send short POST requests without a pause: a proxy does not repeat them, so every lost one shows."""
        async with client_of(self.server) as client:
            while self.go_on:
                request = client.build_request(
                    "POST", "/language", data={"language": "en"}, headers={"Connection": connection}
                )
                self.outcomes.append(await noted("/language", request, client))

    async def have_sent(self, path: str, number: int) -> None:
        """Wait until so many more requests to a path have ended."""
        number += len(self.to(path))
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while len(self.to(path)) < number:  # noqa: ASYNC110 # a poll is simpler than an event in each client
                await asyncio.sleep(0.05)

    def to(self, *paths: str) -> list[Outcome]:
        return [one for one in self.outcomes if one.path in paths]


def side_by_side(work: Callable[..., T], *arguments: Sequence[object]) -> list[T]:
    """Run the work for each of the arguments, four at a time."""
    with ThreadPoolExecutor(max_workers=4) as threads:
        return list(threads.map(work, *arguments))


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)


def children(pid: int) -> set[int]:
    """Return the processes that a process has started and that are still there."""
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def living(pids: Iterable[int]) -> set[int]:
    """Return which of the processes still run. One that has ended and waits to be collected does not."""
    return {pid for pid in pids if _state(pid) not in ("Z", "")}


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""
