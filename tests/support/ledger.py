"""Clients of several machines, and a ledger of the operations that the site acknowledged."""

import asyncio
import random
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from passlib.context import CryptContext

from app.app_factory import create_app
from app.lib.db import db
from support.actions import PASSWORD
from support.app import SECRET_KEY
from support.email_links import TYPED, UNREACHABLE
from support.galera import Node
from support.load import NO_TLS, Outcome, noted
from support.mail_helpers import link

CLIENTS = 6
TIMEOUT_SECONDS = 15
HASHES = CryptContext(["argon2"])


def random_email() -> str:
    return f"{secrets.token_hex(8)}@example.com"


@dataclass
class Ledger:
    """What the clients did in one phase. `urls` are those of both proxies; each request uses a random one.

    `passwords` has those that an account may have: two if the response to a change was no success.
    """

    urls: list[str]
    links: list[str] = field(default_factory=list)  # of password resets, each to be used once
    passwords: dict[str, set[str]] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)  # what more than one simultaneous request was allowed
    go_on: bool = True

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Run the clients during the block."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(CLIENTS - 1):
                tasks.create_task(self._repeat(self.use_an_account))
            tasks.create_task(self._repeat(self.compete))
            try:
                yield
            finally:
                self.go_on = False

    async def _repeat(self, work: Any) -> None:
        while self.go_on:
            async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, verify=NO_TLS) as client:
                await work(client)
            await asyncio.sleep(random.uniform(0.05, 0.3))  # noqa: S311 # no secret

    async def send(self, client: httpx.AsyncClient, method: str, path: str, **form: str) -> int | str:
        request = client.build_request(method, random.choice(self.urls) + path, data=form or None)  # noqa: S311
        outcome = await noted(path, request, client)
        self.outcomes.append(outcome)
        return outcome.status

    async def use_an_account(self, client: httpx.AsyncClient) -> None:
        """Register, change the password and log in. After each, a page shows what was written."""
        email, new = random_email(), secrets.token_hex(8)
        form = {"email": email, "password": PASSWORD, "password_confirm": PASSWORD}
        if await self.send(client, "POST", "/register", **form) != 303:
            return
        self.passwords[email] = {PASSWORD}
        await self.expect(client, "/account", 200, f"registered, and not logged in: {email}")
        former = client.cookies.get("auth") or ""
        form = {"password": PASSWORD, "new_password": new, "new_password_confirm": new}
        status = await self.send(client, "POST", "/change", **form)
        if status != 303:
            if status == 422:
                self.stale.append(f"the password of the registration is refused: {email}")
            self.passwords[email] |= {new}
            return
        self.passwords[email] = {new}
        await self.expect(client, "/account", 200, f"password changed, and not logged in: {email}")
        client.cookies.clear()
        client.cookies.set("auth", former)
        await self.expect(client, "/account", 303, f"the former session lives: {email}")
        client.cookies.clear()
        if await self.send(client, "POST", "/login", email=email, password=new) == 422:
            self.stale.append(f"the new password is refused: {email}")

    async def expect(self, client: httpx.AsyncClient, path: str, status: int, otherwise: str) -> None:
        if await self.send(client, "GET", path) not in (status, 503):
            self.stale.append(otherwise)

    async def compete(self, client: httpx.AsyncClient) -> None:
        """Send at once: the same registration, the same link of a reset, and wrong passwords for one account."""
        email = random_email()
        form = {"email": email, "password": PASSWORD, "password_confirm": PASSWORD}
        if 303 in await self.at_once(client, 6, "/register", **form):
            self.passwords[email] = {PASSWORD}
        if self.links and (counted := await self.at_once(client, 6, self.links.pop(), **TYPED))[303] > 1:
            self.passed.append(f"a token: {counted}")
        if (counted := await self.at_once(client, 7, "/login", email=random_email(), password="wrong horse"))[422] > 5:
            self.passed.append(f"a rate limit: {counted}")
        await asyncio.sleep(1)

    async def at_once(self, client: httpx.AsyncClient, times: int, path: str, **form: str) -> Counter[int | str]:
        return Counter(await asyncio.gather(*(self.send(client, "POST", path, **form) for _ in range(times))))

    def to(self, status: int, *paths: str) -> list[Outcome]:
        return [one for one in self.outcomes if one.status == status and (not paths or one.path in paths)]

    def has_few_failures(self) -> bool:
        """Return whether less than a tenth of the pages were refused. Forms may also wait too long for a hash."""
        return 10 * len(self.to(503, "/account")) < len(self.to(200, "/account"))

    def lost(self, nodes: list[Node]) -> list[str]:
        """Return the acknowledged accounts that the nodes do not have, or with another password."""
        query = "SET STATEMENT wsrep_sync_wait=1 FOR SELECT email, password FROM site.user ORDER BY email"
        first, *others = [node.query(query) for node in nodes]
        assert others == [first] * len(others), "the nodes differ"
        assert len(dict(first)) == len(first), "two accounts have one e-mail address"
        return [
            email
            for email, passwords in self.passwords.items()
            if not any(HASHES.verify(password, dict(first).get(email)) for password in passwords)
        ]


async def reset_links(uri: str, url: str, number: int) -> list[str]:
    """Register accounts and request a reset of each password. Return the paths of the links."""
    emails = [random_email() for _ in range(number)]
    async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, verify=NO_TLS) as client:
        for email in emails:
            form = {"email": email, "password": PASSWORD, "password_confirm": PASSWORD}
            assert (await client.post(f"{url}/register", data=form)).status_code == 303
            client.cookies.clear()
            assert (await client.post(f"{url}/reset", data={"email": email})).status_code == 303
    app = create_app({"SECRET_KEY": SECRET_KEY, "SQLALCHEMY_DATABASE_URI": uri} | UNREACHABLE)
    links = [await link(app, "reset", to=email) for email in emails]
    async with app.app_context():
        await db.dispose()
    return links
