"""Signatures with SECRET_KEY, besides quart-auth's cookie and Quart's session."""

import hashlib

from itsdangerous import Signer
from quart import current_app


def signer(salt: str) -> Signer:
    """Return a signer for one purpose, named by the salt. It signs with SECRET_KEY, and also accepts the fallbacks."""
    keys = [*current_app.config["SECRET_KEY_FALLBACKS"], current_app.config["SECRET_KEY"]]
    return Signer(keys, salt=salt, digest_method=hashlib.sha256)
