"""Password hashes: argon2id for new passwords, older hashes only to verify (older_hashes.py).

All refusals of a password cost the same and are sent at the same time. Where there is no account, or no password, a
decoy is verified.
"""

import asyncio
import hashlib
import time
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property

import argon2
from argon2.low_level import ARGON2_VERSION
from quart import Quart, current_app
from sqlalchemy.exc import DBAPIError

from app.models import db
from app.models.core import DatabaseUnavailable
from app.services import hashing, older_hashes
from app.services.older_hashes import OlderHashes

# OWASP's first choice for argon2id, about 20 ms. Raise it here; stored hashes follow at the next login.
MEMORY_COST_KIB = 19 * 1024
TIME_COST = 2
PARALLELISM = 1
# A refusal is sent no earlier than this, so the milliseconds of the database do not show. Older hashes take longer.
SHORTEST_REFUSAL_SECONDS = 0.25
REFUSAL_MARGIN = 1.05  # times the hashing that was measured at the start


def kind_of(stored: str | None) -> str:
    """Return the name of a stored hash's scheme, "none" or "unknown"."""
    return (older_hashes.scheme_of(stored) or "unknown") if stored else "none"


def is_usable(password: str) -> bool:
    """Return whether the password is text.

    Bytes that are no text arrive as U+FFFD, so a password of them would match other bytes too.
    """
    return not any(char in "\0\N{REPLACEMENT CHARACTER}" or "\ud800" <= char <= "\udfff" for char in password)


class PasswordHasher:
    """Hash and verify the passwords of one app. The methods block, so they run in the threads of hashing.py."""

    def __init__(self, *, salt: str = "") -> None:
        self._argon2 = argon2.PasswordHasher(TIME_COST, MEMORY_COST_KIB, PARALLELISM)
        # What every current hash begins with.
        self.parameters = f"$argon2id$v={ARGON2_VERSION}$m={MEMORY_COST_KIB},t={TIME_COST},p={PARALLELISM}$"
        self._older = OlderHashes(salt=salt)
        self._seconds = 0.0  # of one verification

    @cached_property
    def decoy(self) -> str:
        return self.hash("")

    @property
    def is_prepared(self) -> bool:
        return self._seconds > 0

    def prepare(self, older: Iterable[str]) -> None:
        """Make the decoy, and measure how long that takes, and to verify the older kinds of hashes."""
        began = time.thread_time()
        self.decoy = self.hash("")
        self._seconds = time.thread_time() - began
        self._older.learn(older)

    def refusal_seconds(self, password: str) -> float:
        """Return how long after its arrival a wrong password is refused, whatever is stored."""
        return max(SHORTEST_REFUSAL_SECONDS, REFUSAL_MARGIN * self.hashing_seconds(password))

    def hashing_seconds(self, password: str) -> float:
        """Return how long it takes to hash for a refusal, on an idle machine."""
        return self._seconds + self._older.refusal_seconds(password if is_usable(password) else "")

    def hash(self, password: str, *, salt: bytes | None = None) -> str:
        """Return the argon2id hash of a usable password."""
        return self._argon2.hash(unicodedata.normalize("NFC", password), salt=salt)

    def verify(self, password: str, stored: str | None) -> str | None:
        """Return the hash to store from now on: `stored`, or a current one in its place. None if it does not match."""
        if not is_usable(password):
            password, stored = "", None
        current = stored if stored and self._is_current(stored) else None
        if self._matches(password, current or self.decoy) and current:
            return current
        older = None if current else stored
        if self._older.verify(password, older) and older:
            # Two simultaneous logins must store the same hash. The old one has a random salt, so its digest is unique.
            return self.hash(password, salt=hashlib.sha256(older.encode()).digest()[:16])
        return None

    def _matches(self, password: str, stored: str) -> bool:
        try:
            return self._argon2.verify(stored, unicodedata.normalize("NFC", password))
        except argon2.exceptions.VerificationError:
            return False

    def _is_current(self, stored: str) -> bool:
        """Return whether the hash has the parameters of new ones."""
        try:
            return stored.startswith(self.parameters) and not self._argon2.check_needs_rehash(stored)
        except argon2.exceptions.InvalidHashError:
            return False


async def hash_password(password: str) -> str:
    """Return the hash of a new password. Raises Overloaded."""
    return await hashing.queue.run(_hasher().hash, password)


async def verify_password(password: str, stored: str | None) -> str | None:
    """Return the hash to store from now on, or None if the password is wrong. Raises Overloaded.

    `stored` is None where there is no account that may log in.
    """
    return await hashing.queue.run(_hasher().verify, password, stored)


def refusal_seconds(password: str) -> float:
    """Return how long after its arrival a wrong password is refused."""
    return _hasher().refusal_seconds(password)


async def prepare() -> None:
    """Look up and measure what a refusal costs. A server with workers does so once, before it forks.

    Without the salt no hash of another installation is verified, so nothing is looked up.
    """
    hasher, older = _hasher(), list[str]()
    if hasher.is_prepared:
        return
    if current_app.config["SECURITY_PASSWORD_SALT"]:
        with suppress(DatabaseUnavailable, DBAPIError):  # without database or tables, attempts show what is stored
            older = await db.read(older_hashes.find_samples, current=hasher.parameters)
    await asyncio.to_thread(hasher.prepare, older)  # a thread of the queue would not survive the fork
    hashing.queue.seconds_each = hasher.hashing_seconds("")


def init_app(app: Quart) -> None:
    app.extensions["passwords"] = PasswordHasher(salt=app.config["SECURITY_PASSWORD_SALT"])
    app.before_serving(prepare)


def _hasher() -> PasswordHasher:
    hasher: PasswordHasher = current_app.extensions["passwords"]
    return hasher
