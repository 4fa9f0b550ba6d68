"""Deliver one e-mail to MAIL_SERVER."""

import asyncio
from contextlib import suppress

import aiosmtplib
from quart import current_app

from app.lib.email_address import ascii_email
from app.mail.rendering import InvalidRecipient, RenderedEmail, build_message
from app.models import Email

STEP_TIMEOUT_SECONDS = 15
DELIVERY_TIMEOUT_SECONDS = 60  # shorter than outbox.CLAIM_DURATION
QUIT_TIMEOUT_SECONDS = 2


async def send(email: Email, rendered: RenderedEmail) -> None:
    """Send an e-mail. Raises SMTPException, OSError, InvalidRecipient."""
    config, message = current_app.config, build_message(email, rendered)
    server = aiosmtplib.SMTP(
        hostname=config["MAIL_SERVER"],
        port=config["MAIL_PORT"],
        username=config["MAIL_USERNAME"] or None,
        password=config["MAIL_PASSWORD"] or None,
        use_tls=config["MAIL_USE_SSL"],
        start_tls=config["MAIL_USE_TLS"],
        timeout=STEP_TIMEOUT_SECONDS,
    )
    try:
        async with asyncio.timeout(DELIVERY_TIMEOUT_SECONDS):
            await server.connect()
            await server.send_message(message, recipients=[ascii_email(email.recipient)])
        with suppress(aiosmtplib.SMTPException, OSError):  # the server has accepted the e-mail already
            await server.quit(timeout=QUIT_TIMEOUT_SECONDS)
    finally:
        server.close()


def is_permanent_failure(error: Exception) -> bool:
    """Return whether the server will refuse this e-mail at every try: RFC 5321, 4.2.1.

    A refused sender or login is no reason: the operator may correct the settings.
    """
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return all(refusal.code >= 500 for refusal in error.recipients)
    if isinstance(error, aiosmtplib.SMTPDataError):
        return error.code >= 500
    return isinstance(error, InvalidRecipient)
