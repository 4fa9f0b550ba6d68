"""Trusted devices: browsers in which the user has logged in before.

A trusted device has a rate limit of its own for an account, so attackers who guess the password do not lock out the
user: https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies. The cookie gives no access,
and does not reveal the account.

The cookie names the password hash with which it was issued, by a digest. So no device is trusted any more after a
change or a reset of the password, "This was not me", or the deletion of the account. An attacker who once had the
password, or registered the e-mail address first, keeps nothing. A login that replaces the hash renews the cookie.
"""

import hashlib
import secrets

from quart import Quart, Response, current_app, g, request

from app.lib.db import db
from app.lib.email_address import email_key
from app.lib.web.signing import signer
from app.services import users
from app.services.registration import fingerprint

MAX_ACCOUNTS = 5  # for which one browser is trusted
MARK_LENGTH = 16  # hexadecimal digits
MAX_AGE_SECONDS = 180 * 86400

Token = tuple[str, str, str]


async def trusted_device(email: str) -> str | None:
    """Return the name of this browser if the user has logged in with it, and the password has not changed since.

    The account is looked up only for a signed cookie. So the time of other responses does not reveal an account.
    """
    tokens = [token for token in _tokens() if _is_signed(token, email)]
    if not tokens:
        return None
    mark = await _mark_of(email)
    return next((name for name, issued, _ in tokens if issued == mark), None)


async def trust_device(email: str) -> None:
    """Trust this browser for an account, by a cookie that is sent with the response."""
    mark = await _mark_of(email)
    if mark is None or any(token[1] == mark and _is_signed(token, email) for token in _tokens()):
        return
    name = secrets.token_urlsafe(12)
    signature = signer("device").get_signature(_subject(name, mark, email)).decode()
    others = [token for token in _tokens() if not _is_signed(token, email)]
    g.device_cookie = "~".join(".".join(token) for token in [(name, mark, signature), *others][:MAX_ACCOUNTS])


async def set_device_cookie(response: Response) -> Response:
    if "device_cookie" in g:
        safe = {"secure": current_app.config["SESSION_COOKIE_SECURE"], "httponly": True, "samesite": "Lax"}
        response.set_cookie(_cookie_name(), g.device_cookie, max_age=MAX_AGE_SECONDS, path="/", **safe)
    return response


def _tokens() -> list[Token]:
    """Return the name, the mark and the signature of each token in the cookie."""
    parts = [token.split(".") for token in request.cookies.get(_cookie_name(), "").split("~")[:MAX_ACCOUNTS]]
    return [(token[0], token[1], token[2]) for token in parts if len(token) == 3]


async def _mark_of(email: str) -> str | None:
    """Return the mark of the present password hash. None without an account or a password."""
    password = await db.read(users.find_password, email=email)
    return fingerprint(password)[:MARK_LENGTH] if password else None


def _is_signed(token: Token, email: str) -> bool:
    name, mark, signature = token
    return signer("device").verify_signature(_subject(name, mark, email), signature)


def _cookie_name() -> str:
    return f"{current_app.config['COOKIE_PREFIX']}device"


def _subject(name: str, mark: str, email: str) -> str:
    return f"{name}:{mark}:{hashlib.sha256(email_key(email).encode()).hexdigest()}"


def init_app(app: Quart) -> None:
    app.after_request(set_device_cookie)
