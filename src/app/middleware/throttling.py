"""Which limits an attempt has, and how we answer when they are used up."""

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
    """Return the limits of a log-in to an account that may exist or not."""
    account = email_key(email)
    every = limit("LOG_INS_PER_ADDRESS", network())
    if device := known_device(email):
        return Tries((every,), (limit("WRONG_PASSWORDS_PER_ACCOUNT", f"device {device} {account}"),))
    wrong_here = limit("WRONG_PASSWORDS_PER_ADDRESS", network())
    return Tries((every,), (wrong_here, limit("WRONG_PASSWORDS_PER_ACCOUNT", f"account {account}")))


def sign_up_limits(email: str) -> Tries:
    return Tries((limit("SIGN_UPS_PER_ADDRESS", network()),), quiet=mail_limits(email, Purpose.CONFIRM).quiet)


def mail_limits(email: str, purpose: str) -> Tries:
    """Return the limits of having a mail sent to an address, of an account or not, for one purpose."""
    quiet = limit("MAILS_PER_ACCOUNT", f"{purpose} {email_key(email)}")
    return Tries((limit("MAILS_PER_ADDRESS", network()),), quiet=quiet)


def password_limits(user_id: int) -> Tries:
    """Return the limits of proving one's password again, which only who is logged in can use up."""
    return Tries((), (limit("WRONG_PASSWORDS_PER_ACCOUNT", f"user {user_id}"),))


def limit(what: str, whose: str) -> Limit:
    return Limit(what.lower(), whose, Rate.parse(current_app.config[f"THROTTLE_{what}"]))


def phone_limits(user_id: int) -> Tries:
    """Return how often a number may be asked about: one that is taken says so."""
    return Tries((limit("PHONES_PER_ACCOUNT", f"user {user_id}"),))


async def show_too_many_tries(error: TooManyTries) -> Response:
    """Answer 429, and say when to come back."""
    key = str(current_app.config["SECRET_KEY"]).encode()
    client = hmac.digest(key, network().encode(), "sha256").hex()[:8]  # tells clients apart, and not who they are
    events.record("throttled", level=WARNING, what=error.what, client=client, retry_after=error.retry_after)
    return await show_error(TooManyRequests(retry_after=error.retry_after))


def init_app(app: Quart) -> None:
    app.register_error_handler(TooManyTries, show_too_many_tries)
