"""Every process delivers what lies in the outbox, beside the requests."""

import asyncio
import random
from contextlib import suppress
from logging import ERROR, WARNING
from typing import Any

import aiosmtplib
from quart import Quart, Response, current_app

from app import events, letters
from app.letters import Letter
from app.middleware.mailed_links import without_tokens
from app.models import Mail, db
from app.models.user import ascii_email
from app.services import outbox

EVERY = 10  # seconds: what other processes wrote, and what is to be tried again
AT_ONCE = 5  # mails
SECONDS = 15  # for each step of a delivery
LONGEST = 60  # seconds for a whole delivery: shorter than outbox.CLAIMED
GOOD_BYE = 2  # seconds
LEAVING = 2  # seconds that a delivery under way gets when the server stops


class Mailer:
    """A task that delivers until it is stopped."""

    def __init__(self, app: Quart) -> None:
        self.app = app
        self.woken = asyncio.Event()
        self.stopping = False
        self.delivering = asyncio.create_task(self._deliver_until_stopped())

    async def _deliver_until_stopped(self) -> None:
        while not self.stopping:
            self.woken.clear()
            try:
                async with self.app.app_context():
                    while not self.stopping and self.app.config["MAIL_CAN_LEAVE"] and await deliver_some():
                        pass
            except Exception as error:  # noqa: BLE001 # whatever it is, the next time may go better
                events.record("mailer_failed", level=ERROR, why=f"{type(error).__name__}: {error}")
            with suppress(TimeoutError):
                await asyncio.wait_for(self.woken.wait(), random.uniform(0.5, 1.5) * EVERY)  # noqa: S311 # so that workers do not meet

    async def stop(self) -> None:
        """Let what is under way end, for a moment."""
        self.stopping = True
        self.woken.set()
        await asyncio.wait({self.delivering}, timeout=LEAVING)
        self.delivering.cancel()
        await asyncio.wait({self.delivering}, timeout=LEAVING)  # until it has given its connection back


async def deliver_some() -> int:
    """Deliver some of what is due, and return how many mails were tried."""
    claimed = [await db.write(outbox.claim, id_, tries=tries) for id_, tries in await db.read(outbox.due, most=AT_ONCE)]
    mails = [mail for mail in claimed if mail is not None]
    outcomes = await asyncio.gather(*(deliver(mail) for mail in mails), return_exceptions=True)
    for error in filter(None, outcomes):
        raise error
    return len(mails)


async def deliver(mail: Mail) -> None:
    """Send a mail, or keep it where there is no server, and write down what came of it."""
    facts: dict[str, Any] = {"mail": mail.id, "template": mail.template, "user": mail.user_id}
    try:
        letter = await letters.write(mail)
        if current_app.config["MAIL_SERVER"]:
            await send(mail, letter)
    except Exception as error:  # noqa: BLE001 # a mail that cannot even be written must not hold up the others
        why = without_tokens(f"{type(error).__name__}: {error}")  # servers quote what they refuse
        for_good = is_for_good(error)
        await db.write(outbox.give_up if for_good else outbox.put_off, mail, error=why)
        events.record("mail_refused" if for_good else "mail_put_off", level=WARNING, **facts, why=why)
        return
    if current_app.config["MAIL_SERVER"]:
        await db.write(outbox.mark_sent, mail)
        events.record("mail_sent", **facts, tries=mail.tries)
    else:
        await db.write(outbox.give_up, mail)
        events.record("mail_kept", **facts, subject=letter.subject, link=letter.link)


async def send(mail: Mail, letter: Letter) -> None:
    """Hand a mail to MAIL_SERVER. Raises SMTPException, OSError, or NoAddress."""
    config, message = current_app.config, letters.envelope(mail, letter)
    server = aiosmtplib.SMTP(
        hostname=config["MAIL_SERVER"],
        port=config["MAIL_PORT"],
        username=config["MAIL_USERNAME"] or None,
        password=config["MAIL_PASSWORD"] or None,
        use_tls=config["MAIL_USE_SSL"],
        start_tls=config["MAIL_USE_TLS"],
        timeout=SECONDS,
    )
    try:
        async with asyncio.timeout(LONGEST):
            await server.connect()
            await server.send_message(message, recipients=[ascii_email(mail.recipient)])
        with suppress(aiosmtplib.SMTPException, OSError):  # it has the mail: whatever it says now
            await server.quit(timeout=GOOD_BYE)
    finally:
        server.close()


def is_for_good(error: Exception) -> bool:
    """Say whether the server will refuse this mail at every try: RFC 5321, 4.2.1. Refusing us is no reason."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return all(refusal.code >= 500 for refusal in error.recipients)
    if isinstance(error, aiosmtplib.SMTPDataError):
        return error.code >= 500
    return isinstance(error, letters.NoAddress)


async def wake_after_requests(response: Response) -> Response:
    """Wake the mailer after a request that has posted a mail."""
    mailer: Mailer | None = current_app.extensions.get("mailer")
    if mailer is not None and outbox.POSTED in db.info:
        mailer.woken.set()
    return response
