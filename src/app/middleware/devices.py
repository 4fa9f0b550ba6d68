"""Browsers in which somebody logged in before: OWASP, "Slow Down Online Guessing Attacks with Device Cookies".

Such a browser has limits of its own for that account (throttling.py), so strangers who guess its password lock
themselves out and not its owner. The cookie lets nobody in, and nothing in it says to which account it belongs.
"""

import hashlib
import secrets

from quart import Quart, Response, current_app, g, request

from app.middleware.signing import signer
from app.models.user import email_key

ACCOUNTS = 5  # that one browser is remembered for
HALF_A_YEAR = 180 * 86400  # seconds


def known_device(email: str) -> str | None:
    """Return the name of this browser, if somebody logged in to the account with it."""
    for token in _tokens():
        name, _, signature = token.partition(".")
        if signer("device").validate(f"{_subject(name, email)}.{signature}"):
            return name
    return None


def remember_device(email: str) -> None:
    """Have the browser remember that somebody logged in to this account."""
    if not known_device(email):
        name = secrets.token_urlsafe(12)
        signature = signer("device").get_signature(_subject(name, email)).decode()
        g.device_cookie = "~".join([f"{name}.{signature}", *_tokens()][:ACCOUNTS])


async def set_device_cookie(response: Response) -> Response:
    if "device_cookie" in g:
        safe = {"secure": current_app.config["SESSION_COOKIE_SECURE"], "httponly": True, "samesite": "Lax"}
        response.set_cookie(_cookie_name(), g.device_cookie, max_age=HALF_A_YEAR, path="/", **safe)
    return response


def _tokens() -> list[str]:
    return [token for token in request.cookies.get(_cookie_name(), "").split("~") if token][:ACCOUNTS]


def _cookie_name() -> str:
    return f"{current_app.config['COOKIE_PREFIX']}device"


def _subject(name: str, email: str) -> str:
    return f"{name}:{hashlib.sha256(email_key(email).encode()).hexdigest()}"


def init_app(app: Quart) -> None:
    app.after_request(set_device_cookie)
