"""Hashes that are verified but not made any more: those of a Flask-Security installation, and weaker argon2id.

To refuse at equal cost, every attempt computes as much as the slowest stored kind of hash does. A kind is a scheme with
its parameters. The kinds are looked up at the start; one that appears later counts from the first attempt at it.
"""

import base64
import hashlib
import hmac
import time
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

import argon2
from passlib.context import CryptContext
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import User
from app.services.hashing import THREADS

FORM_LENGTH_MAX = 256  # characters: some of the schemes take seconds for thousands
SAMPLES = 1000  # enough to meet every kind that is not rare

_schemes = CryptContext(["bcrypt", "argon2", "pbkdf2_sha512", "pbkdf2_sha256", "sha512_crypt", "bcrypt_sha256"])


class Kind(NamedTuple):
    """A hash of this kind, and the seconds that one verification takes on an idle machine."""

    sample: str
    seconds: float


async def find_samples(session: AsyncSession, *, current: str) -> list[str]:
    """Return some stored hashes that do not begin with `current`, of the oldest accounts.

    Where none is left, this scans the table.
    """
    is_older = User.password.not_like(f"{current}%")
    query = select(User.password).where(is_older).order_by(User.id).limit(SAMPLES)
    return [stored for stored in await session.scalars(query) if stored]


def scheme_of(stored: str) -> str | None:
    """Return the name of a hash's scheme, or None for what is no hash."""
    scheme: str | None = _schemes.identify(stored)
    return scheme


class OlderHashes:
    """Verify older hashes at equal cost.

    `salt` is the SECURITY_PASSWORD_SALT of the Flask-Security installation. If it is empty, only argon2 hashes of our
    own with other parameters are verified.
    """

    def __init__(self, *, salt: str) -> None:
        self.salt = salt
        self.kinds: dict[str, Kind] = {}

    def learn(self, samples: Iterable[str]) -> None:
        """Measure the kinds of these hashes, so that the first attempt takes as long as later ones."""
        for stored in samples:
            self._kind_of(stored)

    def verify(self, password: str, stored: str | None) -> bool:
        """Return whether the password matches. A refusal costs the same, whatever is stored."""
        kind = self._kind_of(stored) if stored else None
        slowest = self._slowest()
        if slowest is None:
            return False
        forms = self._forms(password)
        if stored is None or kind is None:
            for form in forms:
                _matches(form, slowest.sample)  # a decoy: what it returns does not count
            return False
        if any(_matches(form, stored) for form in forms):
            return True
        _spend(len(forms) * (slowest.seconds - kind.seconds))
        return False

    def refusal_seconds(self, password: str) -> float:
        """Return how long it takes to refuse a password on an idle machine."""
        slowest = self._slowest()
        return len(self._forms(password)) * slowest.seconds if slowest else 0

    def _kind_of(self, stored: str) -> Kind | None:
        """Return the kind of a hash, measured when it is new; None for what cannot be verified."""
        scheme = _schemes.identify(stored)
        if scheme is None or not (self.salt or scheme == "argon2"):
            return None
        try:
            _schemes.handler(scheme).from_string(stored)
            head = stored[: len("$2b$12$")] if scheme == "bcrypt" else stored.rsplit("$", 2)[0]  # no salt, no digest
            if head not in self.kinds:
                self.kinds[head] = Kind(stored, _seconds(stored))
        except ValueError:  # malformed
            return None
        return self.kinds[head]

    def _slowest(self) -> Kind | None:
        return max(self.kinds.values(), key=lambda kind: kind.seconds, default=None)

    def _forms(self, password: str) -> list[str]:
        """Return what may have been hashed.

        Flask-Security hashes an HMAC of the password, unless SECURITY_PASSWORD_SINGLE_HASH is set. Later releases
        normalise it to NFKD first. Our own hashes are of NFC.
        """
        plain = [unicodedata.normalize(form, password) for form in ("NFKD", "NFC")] + [password]
        if not self.salt:
            return plain[1:2]
        salted = [hmac.digest(self.salt.encode(), form.encode(), "sha512") for form in (plain[0], password)]
        forms = [base64.b64encode(digest).decode() for digest in salted] + [form[:FORM_LENGTH_MAX] for form in plain]
        return list(dict.fromkeys(forms))


def _matches(form: str, stored: str) -> bool:
    try:
        if _schemes.identify(stored) == "bcrypt":  # it never read more than 72 bytes, and bcrypt 5 refuses more
            return _schemes.verify(form.encode()[:72], stored)
        return _schemes.verify(form, stored)
    except ValueError:  # a digest that is cut or garbled
        return False


def _seconds(stored: str) -> float:
    """Measure a verification by the processor's time, as the machine may be busy.

    Argon2 computes its lanes in threads of its own, on as many cores as there are.
    """
    lanes = argon2.extract_parameters(stored).parallelism if _schemes.identify(stored) == "argon2" else 1
    clock = time.thread_time if lanes == 1 else time.process_time
    began = clock()
    _matches("", stored)
    return (clock() - began) / min(lanes, THREADS)


def _spend(seconds: float) -> None:
    """Compute for so many seconds of this thread: on a busy machine that is longer, as a hash would be."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        hashlib.pbkdf2_hmac("sha512", b"", b"", 500)  # under a millisecond, and without the GIL
