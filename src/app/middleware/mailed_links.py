"""The links that stand in mails: /reset/<token>. The token is a secret of services/links.py, signed.

Without the signature the secret is worth nothing, so who reads the outbox in the database cannot make a link of it.
"""

import re

from itsdangerous import BadSignature, Signer
from quart import current_app

from app.middleware.signing import signer
from app.models.user_token import Purpose
from app.services.links import InvalidLink

TOKEN = re.compile(r"[\w-]{43}\.[\w-]{43}", re.ASCII)


def without_tokens(text: str) -> str:
    """Take out what would be good for a link."""
    return TOKEN.sub("…", text)


def url_of(purpose: str, secret: str) -> str:
    """Return the address that a mail shows, below BASE_URL whatever host was asked."""
    return f"{current_app.config['BASE_URL']}/{purpose}/{_signer(purpose).sign(secret).decode()}"


def secret_of(token: str, *, purpose: Purpose) -> str:
    """Return the secret in a token from an address. Raises InvalidLink for what we did not sign."""
    if not TOKEN.fullmatch(token):
        raise InvalidLink
    try:
        return _signer(purpose).unsign(token.encode()).decode()
    except (BadSignature, UnicodeError):
        raise InvalidLink from None


def _signer(purpose: str) -> Signer:
    return signer(f"mailed-link {purpose}")
