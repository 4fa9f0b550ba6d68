"""The rate limits of each kind of attempt: a login, a registration, a reauthentication, a reset, an e-mail."""

from typing import NamedTuple

from app.lib.email_address import email_key
from app.services.client import Client
from app.services.rate_limits import Limit, limit


class RateLimits(NamedTuple):
    """The limits of an attempt: those of every attempt, and those of failed ones."""

    every: tuple[Limit, ...]
    failed: tuple[Limit, ...] = ()


def for_login(email: str, client: Client, *, device: str | None) -> RateLimits:
    """Return the limits of a login with an e-mail address, with or without an account.

    A trusted device has a limit of its own for the account, so attackers who guess the password do not lock out the
    user. The limit of the IP address also counts for it.
    """
    account = email_key(email)
    subject = f"device {device} {account}" if device else f"account {account}"
    per_ip = limit("WRONG_PASSWORDS_PER_IP", client.network)
    return RateLimits(
        (limit("LOGINS_PER_IP", client.network),), (per_ip, limit("WRONG_PASSWORDS_PER_ACCOUNT", subject))
    )


def for_registration(client: Client) -> RateLimits:
    return RateLimits((limit("REGISTRATIONS_PER_IP", client.network),))


def for_reauthentication(user_id: int, client: Client) -> RateLimits:
    """Return the limits of the password of a logged-in user. Only a client with a session can reach them."""
    every = limit("LOGINS_PER_IP", client.network)
    return RateLimits((every,), (limit("WRONG_PASSWORDS_PER_ACCOUNT", f"user {user_id}"),))


def for_new_password(user_id: int, client: Client) -> RateLimits:
    """Return the limits of a link that sets a password, which is hashed before the token is consumed."""
    per_account = limit("WRONG_PASSWORDS_PER_ACCOUNT", f"new password {user_id}")
    return RateLimits((limit("LOGINS_PER_IP", client.network), per_account))


def for_email(subject: str, purpose: str) -> Limit:
    """Return the silent limit of e-mails for one purpose: beyond it none is sent, and the response is the same."""
    return limit("EMAILS_PER_ACCOUNT", f"{purpose} {subject}")
