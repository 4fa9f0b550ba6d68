"""Hashes of passwords: argon2id for every new one; the older kinds of a Flask installation, only to verify.

The time tells a stranger nothing: where there is no account a decoy is verified, and a refusal comes only after a time
in which the slowest of the older kinds would have been verified too.
"""

import base64
import hmac
import time
import unicodedata
from functools import cache

from passlib.context import CryptContext

from app.services import hashing

# OWASP's first choice for argon2id: 19 MiB, two passes, one lane. Raise it here, and stored hashes follow at log-in.
_ours = CryptContext(
    ["argon2"], argon2__type="ID", argon2__memory_cost=19 * 1024, argon2__time_cost=2, argon2__parallelism=1
)
_former = CryptContext(["bcrypt", "argon2", "pbkdf2_sha512", "pbkdf2_sha256", "sha512_crypt", "bcrypt_sha256"])
LONGEST_FORMER = 256  # characters: some of the former schemes take seconds for thousands
# How much longer than the decoy's the verification of a hash may take: argon2id with passlib's parameters five times,
# or ten when the cores are busy; sha512_crypt, the slowest of the former, two and a half times.
OURS_SLACK, FORMER_SLACK = 16, 4
LONGEST_REFUSAL = 6  # seconds: shorter than a server that stops waits


def kind_of(stored: str | None) -> str:
    """Say what kind of hash is stored: a kind, none, or unknown."""
    if not stored:
        return "none"
    return _ours.identify(stored) or _former.identify(stored) or "unknown"


def is_usable(password: str) -> bool:
    """Say whether the password is text. What is left of bytes that were none, U+FFFD, would match other such bytes."""
    return not any(char in "\0\N{REPLACEMENT CHARACTER}" or "\ud800" <= char <= "\udfff" for char in password)


async def hash_password(password: str) -> str:
    """Return the argon2id hash of a usable password."""
    hashed, _ = await hashing.queue.run(_hash, password)
    return hashed


async def verify_password(password: str, stored: str | None, *, salt: str) -> tuple[str | None, float]:
    """Return the hash to keep from now on, the stored one or a stronger one; None when the password is wrong.

    Returns also when the refusal of a wrong one is due, by time.monotonic(): not before.
    `stored` is None where there is no account or no password. `salt` is the SECURITY_PASSWORD_SALT of the
    Flask-Security installation that the accounts come from, or empty.
    """
    kept, began = await hashing.queue.run(_verify, password, stored, salt)
    return kept, began + refusal_seconds(password, salt=salt)


def refusal_seconds(password: str, *, salt: str) -> float:
    """Return how long a refusal takes, whatever hash is stored and whether any is."""
    former = _former_decoy_seconds() * 2 * len(_forms(password)) if salt else 0
    return min(OURS_SLACK * _decoy_seconds() + FORMER_SLACK * former, LONGEST_REFUSAL)


def prepare(*, salt: str) -> None:
    """Build the decoys and see how long they take, so that the first stranger does not wait longer than the next."""
    hashing.queue.seconds_each = _decoy_seconds()
    if salt:
        hashing.queue.seconds_each += 2 * _former_decoy_seconds()
    hashing.give_memory_back()


def _hash(password: str) -> str:
    return _ours.hash(unicodedata.normalize("NFC", password))


def _verify(password: str, stored: str | None, salt: str) -> str | None:
    if not is_usable(password):
        password, stored = "", None
    ours = stored if stored and _ours.identify(stored) else None
    if _matches(_ours, unicodedata.normalize("NFC", password), ours or _decoy()) and ours:
        return ours if _is_current(ours) else _hash(password)
    if salt:
        former = None if _is_current(stored) else stored
        if (
            any(_matches(_former, secret, former or _former_decoy()) for secret in _former_secrets(password, salt))
            and former
        ):
            return _hash(password)
    return None


def _is_current(stored: str | None) -> bool:
    """Say whether the hash was made by us with the parameters of today."""
    try:
        return stored is not None and _ours.identify(stored) is not None and not _ours.needs_update(stored)
    except ValueError:  # cut or garbled
        return False


def _matches(context: CryptContext, secret: str, stored: str) -> bool:
    try:
        if context.identify(stored) == "bcrypt":  # which never looked further, and now refuses to
            return context.verify(secret.encode()[:72], stored)
        return context.verify(secret, stored)
    except ValueError:  # not a hash that we know
        return False


def _former_secrets(password: str, salt: str) -> list[str]:
    """Return what was hashed: Flask-Security took an HMAC of it, unless told not to; later ones first NFKD."""
    forms = _forms(password)
    salted = [base64.b64encode(hmac.digest(salt.encode(), form.encode(), "sha512")).decode() for form in forms]
    return [*salted, *(form[:LONGEST_FORMER] for form in forms)]


def _forms(password: str) -> list[str]:
    return list(dict.fromkeys([unicodedata.normalize("NFKD", password), password]))


@cache
def _decoy() -> str:
    return _hash("a password that nobody has")


@cache
def _former_decoy() -> str:
    return _former.hash("a password that nobody had")  # bcrypt, as the original


@cache
def _decoy_seconds() -> float:
    return _seconds(_ours, _decoy())


@cache
def _former_decoy_seconds() -> float:
    return _seconds(_former, _former_decoy())


def _seconds(context: CryptContext, decoy: str) -> float:
    """Measure a verification: the shorter of two, as the machine may have been busy with something else."""
    began = [time.monotonic()]
    for _ in range(2):
        context.verify("a wrong password", decoy)
        began.append(time.monotonic())
    return min(began[1] - began[0], began[2] - began[1])
