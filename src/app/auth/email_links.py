"""The URLs of e-mailed links, such as /reset/<token>: a token of services/tokens.py with a signature.

Without the signature the token is of no use, so an attacker who can read the outbox in the database cannot make a link.
"""

import re

from itsdangerous import BadSignature, Signer
from quart import current_app

from app.lib.web.signing import signer
from app.models.user_token import TokenPurpose
from app.services.tokens import InvalidToken

SIGNED_TOKEN = re.compile(r"[\w-]{43}\.[\w-]{43}", re.ASCII)


def redact_tokens(text: str) -> str:
    """Remove signed tokens from a text."""
    return SIGNED_TOKEN.sub("…", text)


def build_url(purpose: str, token: str) -> str:
    """Return the URL for an e-mail. It begins with BASE_URL, whatever the Host header of the request is."""
    return f"{current_app.config['BASE_URL']}/{purpose}/{_signer(purpose).sign(token).decode()}"


def verify_token(signed: str, *, purpose: TokenPurpose) -> str:
    """Return the token in a URL. Raises InvalidToken if the signature is wrong."""
    if not SIGNED_TOKEN.fullmatch(signed):
        raise InvalidToken
    try:
        return _signer(purpose).unsign(signed.encode()).decode()
    except (BadSignature, UnicodeError):
        raise InvalidToken from None


def _signer(purpose: str) -> Signer:
    return signer(f"mailed-link {purpose}")
