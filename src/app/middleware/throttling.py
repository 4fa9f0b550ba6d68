"""The rate limits of an attempt, and the response when one is exceeded."""

import hmac
from logging import WARNING

from quart import Quart, Response, current_app
from werkzeug.exceptions import TooManyRequests

from app import events
from app.middleware.client_address import network
from app.middleware.devices import known_device
from app.middleware.errors import show_error
from app.models.user import email_key
from app.models.user_token import Purpose
from app.rate import Rate
from app.services.throttling import Limit, TooManyTries, Tries


def log_in_limits(email: str) -> Tries:
    """Return the limits of a login with an e-mail address, with or without an account."""
    account = email_key(email)
    every = limit("LOG_INS_PER_ADDRESS", network())
    if device := known_device(email):
        return Tries((every,), (limit("WRONG_PASSWORDS_PER_ACCOUNT", f"device {device} {account}"),))
    wrong_here = limit("WRONG_PASSWORDS_PER_ADDRESS", network())
    return Tries((every,), (wrong_here, limit("WRONG_PASSWORDS_PER_ACCOUNT", f"account {account}")))


def sign_up_limits(email: str) -> Tries:
    """Return the limits of a registration."""
    return Tries((limit("SIGN_UPS_PER_ADDRESS", network()),), quiet=mail_limits(email, Purpose.CONFIRM).quiet)


def mail_limits(email: str, purpose: str) -> Tries:
    """Return the limits of e-mails to an e-mail address, with or without an account, for one purpose."""
    quiet = limit("MAILS_PER_ACCOUNT", f"{purpose} {email_key(email)}")
    return Tries((limit("MAILS_PER_ADDRESS", network()),), quiet=quiet)


def password_limits(user_id: int) -> Tries:
    """Return the limits of a reauthentication. Only a logged-in client can use them up."""
    return Tries((), (limit("WRONG_PASSWORDS_PER_ACCOUNT", f"user {user_id}"),))


def limit(what: str, whose: str) -> Limit:
    """Return the limit that the setting THROTTLE_<what> declares."""
    return Limit(what.lower(), whose, Rate.parse(current_app.config[f"THROTTLE_{what}"]))


def phone_limits(user_id: int) -> Tries:
    """Return the limits of changing the phone number, as the response reveals that a number is taken."""
    return Tries((limit("PHONES_PER_ACCOUNT", f"user {user_id}"),))


async def show_too_many_tries(error: TooManyTries) -> Response:
    """Return 429 with Retry-After."""
    key = str(current_app.config["SECRET_KEY"]).encode()
    client = hmac.digest(key, network().encode(), "sha256").hex()[:8]  # distinguishes clients without naming them
    events.record("throttled", level=WARNING, what=error.what, client=client, retry_after=error.retry_after)
    return await show_error(TooManyRequests(retry_after=error.retry_after))


def init_app(app: Quart) -> None:
    app.register_error_handler(TooManyTries, show_too_many_tries)
