"""Hashes of passwords: argon2id for every new one; the older kinds of a Flask installation, only to verify.

Hashing runs in threads, one per core, so that the event loop answers others meanwhile. A refusal costs the same hashing
whether there is an account or not: the time tells a stranger nothing.
"""

import asyncio
import base64
import hmac
import os
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from passlib.context import CryptContext

# OWASP's first choice for argon2id: 19 MiB, two passes, one lane. Raise it here, and stored hashes follow at log-in.
_ours = CryptContext(
    ["argon2"], argon2__type="ID", argon2__memory_cost=19 * 1024, argon2__time_cost=2, argon2__parallelism=1
)
_former = CryptContext(["bcrypt", "argon2", "pbkdf2_sha512", "pbkdf2_sha256", "sha512_crypt", "bcrypt_sha256"])
LONGEST_FORMER = 256  # characters: some of the former schemes take seconds for thousands
_threads = ThreadPoolExecutor(max_workers=os.cpu_count(), thread_name_prefix="hashing")


def is_usable(password: str) -> bool:
    """Say whether the password is text. What is left of bytes that were none, U+FFFD, would match other such bytes."""
    return not any(char in "\0\N{REPLACEMENT CHARACTER}" or "\ud800" <= char <= "\udfff" for char in password)


async def hash_password(password: str) -> str:
    """Return the argon2id hash of a usable password."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _hash, password)


async def verify_password(password: str, stored: str | None, *, salt: str) -> str | None:
    """Return the hash to keep from now on, the stored one or a stronger one; None when the password is wrong.

    `stored` is None where there is no account or no password. `salt` is the SECURITY_PASSWORD_SALT of the
    Flask-Security installation that the accounts come from, or empty.
    """
    return await asyncio.get_running_loop().run_in_executor(_threads, _verify, password, stored, salt)


def prepare(*, salt: str) -> None:
    """Build the decoys, so that the first stranger does not wait longer than the next."""
    _decoy()
    if salt:
        _former_decoy()


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


def _former_secrets(password: str, salt: str) -> Iterator[str]:
    """Yield what may have been hashed: Flask-Security took an HMAC of it, unless told not to; later ones first NFKD."""
    forms = list(dict.fromkeys([unicodedata.normalize("NFKD", password), password]))
    for form in forms:
        yield base64.b64encode(hmac.digest(salt.encode(), form.encode(), "sha512")).decode()
    for form in forms:
        yield form[:LONGEST_FORMER]


@cache
def _decoy() -> str:
    return _hash("a password that nobody has")


@cache
def _former_decoy() -> str:
    return _former.hash("a password that nobody had")  # bcrypt, as the original
