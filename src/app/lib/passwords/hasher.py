"""Password hashes: argon2id for new passwords, older kinds only to verify.

Every refusal takes the same time. If there is no account, or no password, a decoy is verified instead.
"""

import asyncio
import base64
import hashlib
import hmac
import unicodedata
from collections.abc import Awaitable, Callable, Iterable
from functools import cached_property

from quart import Quart, current_app

from app.lib.passwords.executor import executor
from app.lib.passwords.schemes import CURRENT, OLDER, OLDER_LENGTH_MAX, matches, needs_update, parameters, seconds

# A refusal is sent no earlier than this. It covers the milliseconds of the database, and argon2 with other parameters.
SHORTEST_REFUSAL_SECONDS = 0.25
REFUSAL_MARGIN = 1.1  # times the hashing that was measured at the start


def is_valid_text(password: str) -> bool:
    """Return whether the password is text. Other bytes arrive as U+FFFD, and would match any other such bytes."""
    return not any(char in "\0\N{REPLACEMENT CHARACTER}" or "\ud800" <= char <= "\udfff" for char in password)


class PasswordHasher:
    """Hash and verify the passwords of one app. The methods block, so they run in the threads of executor.py.

    `salt` is the SECURITY_PASSWORD_SALT of the Flask-Security installation that the accounts come from. If it is empty,
    only argon2 hashes are verified.
    """

    def __init__(self, *, salt: str = "") -> None:
        self.salt = salt
        self.current_seconds = 0.0  # of one verification of a current hash
        self.slowest: tuple[float, str] = (0.0, "")  # of an older kind: seconds of one verification, and a sample

    @cached_property
    def decoy(self) -> str:
        return CURRENT.hash("a password that no user has")

    def prepare(self, samples: Iterable[str]) -> None:
        """Measure the hashing of a refusal, so that the first one takes as long as later ones."""
        self.current_seconds = seconds(CURRENT, self.decoy)
        one_of_each = {parameters(stored): stored for stored in samples if OLDER.identify(stored)}
        self.slowest = max(((seconds(OLDER, stored), stored) for stored in one_of_each.values()), default=(0.0, ""))

    def hashing_seconds(self, password: str) -> float:
        """Return how long the hashing of a refusal takes on an idle machine."""
        return self.current_seconds + self.slowest[0] * len(self._older_forms(password))

    def hash(self, password: str, *, salt: bytes | None = None) -> str:
        """Return the argon2id hash of a usable password."""
        hashed: str = CURRENT.handler().using(salt=salt).hash(unicodedata.normalize("NFC", password))
        return hashed

    def verify(self, password: str, stored: str | None) -> str | None:
        """Return the hash to store from now on: `stored`, or a current one in its place. None if it does not match."""
        if not is_valid_text(password):
            password, stored = "", None
        current = stored if stored and needs_update(CURRENT, stored) is False else None
        if matches(CURRENT, unicodedata.normalize("NFC", password), current or self.decoy) and current:
            return current
        kinds = OLDER if self.salt else CURRENT
        older = stored if stored and not current and needs_update(kinds, stored) is not None else None
        if not any(matches(OLDER, form, older or self.slowest[1]) for form in self._older_forms(password)) or not older:
            return None
        # Two simultaneous logins must store the same hash. The old one has a random salt, so its digest is unique.
        return self.hash(password, salt=hashlib.sha256(older.encode()).digest()[:16])

    def _older_forms(self, password: str) -> list[str]:
        """Return the texts that an older hash may have been made of.

        Flask-Security hashes an HMAC of the password, unless SECURITY_PASSWORD_SINGLE_HASH is set. Later releases
        normalise it to NFKD first.
        """
        if not self.salt:
            return [unicodedata.normalize("NFC", password)]
        forms = dict.fromkeys(
            [unicodedata.normalize("NFKD", password), unicodedata.normalize("NFC", password), password]
        )
        key = self.salt.encode(errors="surrogateescape")
        salted = [base64.b64encode(hmac.digest(key, form.encode(), "sha512")).decode() for form in forms]
        return [*salted, *(form[:OLDER_LENGTH_MAX] for form in forms)]


async def hash_password(password: str) -> str:
    """Return the hash of a new password. Raises Overloaded."""
    return await executor.run(_hasher().hash, password)


async def verify_password(password: str, stored: str | None) -> str | None:
    """Return the hash to store from now on, or None if the password is wrong or `stored` is. Raises Overloaded."""
    return await executor.run(_hasher().verify, password, stored)


def refusal_seconds(password: str) -> float:
    """Return how long after its arrival a wrong password is refused, whatever is stored."""
    return max(SHORTEST_REFUSAL_SECONDS, REFUSAL_MARGIN * _hasher().hashing_seconds(password))


async def prepare(find_samples: Callable[[], Awaitable[list[str]]]) -> None:
    """Measure a refusal, unless that is done. `find_samples` returns stored hashes, to find the slowest kind."""
    hasher = _hasher()
    if hasher.current_seconds:
        return
    samples = await find_samples() if hasher.salt else []
    await asyncio.to_thread(hasher.prepare, samples)  # a thread of the executor would not survive the fork
    executor.seconds_each = hasher.hashing_seconds("")


def current_parameters() -> str:
    """Return the scheme and the parameters of a current hash, with which every current hash begins."""
    return parameters(_hasher().decoy)


def init_app(app: Quart) -> None:
    app.extensions["passwords"] = PasswordHasher(salt=app.config["SECURITY_PASSWORD_SALT"])


def _hasher() -> PasswordHasher:
    hasher: PasswordHasher = current_app.extensions["passwords"]
    return hasher
