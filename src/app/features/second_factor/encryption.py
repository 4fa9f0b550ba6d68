"""Encryption of the secrets in the database, with keys that are derived from SECRET_KEY.

Each user has a separate key, so an attacker who can write to the database cannot give one user the secret of another.
The keys in SECRET_KEY_FALLBACKS only decrypt.
"""

import base64
from collections.abc import Iterator

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.lib.settings import current_settings


class Undecryptable(Exception):
    """The text was encrypted with a SECRET_KEY that the site does not have, or for another purpose."""


def encrypt(content: bytes, *, purpose: str) -> str:
    return _cipher(purpose).encrypt(content).decode()


def decrypt(encrypted: str, *, purpose: str, max_age_seconds: int | None = None) -> bytes:
    """Return the content. Raises Undecryptable, also if it is older than `max_age_seconds`."""
    try:
        return _cipher(purpose).decrypt(encrypted.encode(), ttl=max_age_seconds)
    except InvalidToken as error:
        raise Undecryptable from error


def is_current(encrypted: str, *, purpose: str) -> bool:
    """Return whether a text is encrypted with SECRET_KEY, not with one of the fallbacks."""
    try:
        next(_ciphers(purpose)).decrypt(encrypted.encode())
    except InvalidToken:
        return False
    return True


def _cipher(purpose: str) -> MultiFernet:
    return MultiFernet(_ciphers(purpose))


def _ciphers(purpose: str) -> Iterator[Fernet]:
    settings = current_settings()
    for key in (settings["SECRET_KEY"], *settings["SECRET_KEY_FALLBACKS"]):
        derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"second factor {purpose}".encode())
        yield Fernet(base64.urlsafe_b64encode(derived.derive(key.encode())))
