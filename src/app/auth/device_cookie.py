"""Trusted devices: browsers in which the user has logged in before.

A trusted device has rate limits of its own for an account, so attackers who guess the password do not lock out the
user: https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies. The cookie gives no access,
and does not reveal the account.
"""

import hashlib
import secrets

from quart import Quart, Response, current_app, g, request

from app.lib.email_address import email_key
from app.lib.web.signing import signer

MAX_ACCOUNTS = 5  # for which one browser is trusted
MAX_AGE_SECONDS = 180 * 86400


def trusted_device(email: str) -> str | None:
    """Return the name of this browser if the user of the account has logged in with it."""
    for token in _tokens():
        name, _, signature = token.partition(".")
        if signer("device").validate(f"{_subject(name, email)}.{signature}"):
            return name
    return None


def trust_device(email: str) -> None:
    """Trust this browser for an account, by a cookie that is sent with the response."""
    if not trusted_device(email):
        name = secrets.token_urlsafe(12)
        signature = signer("device").get_signature(_subject(name, email)).decode()
        g.device_cookie = "~".join([f"{name}.{signature}", *_tokens()][:MAX_ACCOUNTS])


async def set_device_cookie(response: Response) -> Response:
    if "device_cookie" in g:
        safe = {"secure": current_app.config["SESSION_COOKIE_SECURE"], "httponly": True, "samesite": "Lax"}
        response.set_cookie(_cookie_name(), g.device_cookie, max_age=MAX_AGE_SECONDS, path="/", **safe)
    return response


def _tokens() -> list[str]:
    return [token for token in request.cookies.get(_cookie_name(), "").split("~") if token][:MAX_ACCOUNTS]


def _cookie_name() -> str:
    return f"{current_app.config['COOKIE_PREFIX']}device"


def _subject(name: str, email: str) -> str:
    return f"{name}:{hashlib.sha256(email_key(email).encode()).hexdigest()}"


def init_app(app: Quart) -> None:
    app.after_request(set_device_cookie)
