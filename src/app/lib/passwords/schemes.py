"""The schemes of password hashes, and what a stored hash says about itself."""

import timeit
from contextlib import suppress

from passlib.context import CryptContext

# OWASP's first choice for argon2id, about 20 ms. Raise it here; stored hashes follow at the next login.
CURRENT = CryptContext(
    ["argon2"], argon2__type="ID", argon2__memory_cost=19 * 1024, argon2__time_cost=2, argon2__parallelism=1
)
# What Flask-Security installations have.
OLDER = CryptContext(["bcrypt", "argon2", "pbkdf2_sha512", "pbkdf2_sha256", "sha512_crypt", "bcrypt_sha256"])
OLDER_LENGTH_MAX = 256  # characters: some of these schemes take seconds for thousands


def needs_update(context: CryptContext, stored: str) -> bool | None:
    """Return whether the hash has other parameters than new ones; None if it is malformed or of another scheme."""
    with suppress(ValueError):
        return context.needs_update(stored)
    return None


def parameters(stored: str) -> str:
    """Return a hash without its salt and digest."""
    return stored[: len("$2b$12$")] if stored.startswith("$2") else stored.rsplit("$", 2)[0]


def matches(context: CryptContext, secret: str, stored: str) -> bool:
    try:
        if context.identify(stored) == "bcrypt":  # it never read more than 72 bytes, and bcrypt 5 refuses more
            return context.verify(secret.encode()[:72], stored)
        return context.verify(secret, stored)
    except ValueError:  # not a hash
        return False


def seconds(context: CryptContext, stored: str) -> float:
    """Measure a verification: the shortest of two, as the machine may be busy."""
    return min(timeit.repeat(lambda: matches(context, "", stored), number=1, repeat=2))
