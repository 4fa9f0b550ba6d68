"""E-mailed links."""

import asyncio

from quart import Quart, Response
from quart.typing import TestClientProtocol
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.lib import clock
from app.mail import worker
from app.models import Email, UserEvent
from app.models.base import Base
from app.models.user_token import TokenPurpose
from app.services import security_alerts, tokens, users
from app.services.client import COMMAND_LINE, Client
from support.actions import EMAIL, comparable, count, create_user, enter, read, write
from support.mail_helpers import link, mails

NEW_PASSWORD = "a new horse battery staple"
TYPED = {"new_password": NEW_PASSWORD, "new_password_confirm": NEW_PASSWORD}
UNREACHABLE = {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": 1, "MAIL_DEFAULT_SENDER": "site@example.com"}
MAIL = {
    TokenPurpose.CONFIRM: "confirm",
    TokenPurpose.RESET: "reset",
    TokenPurpose.CHANGE_EMAIL: "change_email",
    TokenPurpose.UNDO_EMAIL: "email_changed",
    TokenPurpose.NOT_ME: "password_changed",
}
NEW_EMAIL = "new-ada@example.com"
FORMER_EMAIL = "former-ada@example.com"
SENT_TO = {TokenPurpose.CHANGE_EMAIL: NEW_EMAIL, TokenPurpose.UNDO_EMAIL: FORMER_EMAIL}


async def join(app: Quart, email: str = EMAIL) -> TestClientProtocol:
    """Return the browser of a user with a confirmed e-mail address, logged in."""
    await create_user(app, email)
    await write(app, users.confirm, email=email)
    return await enter(app, email)


async def mailed_link(app: Quart, purpose: TokenPurpose, *, of: str = EMAIL) -> str:
    """Have a link e-mailed to a user, and return its path."""
    user, template = await read(app, users.get_by_email, email=of), MAIL[purpose]
    facts = security_alerts.describe_event(Client("", "")) | {"new_email": "attacker@example.com"}
    mailed = {"email": SENT_TO.get(purpose), "facts": facts, "client": COMMAND_LINE}
    await write(app, tokens.send, user, purpose, template, **mailed)
    return await link(app, template)


async def mailed_links(app: Quart, *, of: str = EMAIL) -> dict[TokenPurpose, str]:
    """Have a link of each purpose e-mailed to a user, and return their paths."""
    return {purpose: await mailed_link(app, purpose, of=of) for purpose in TokenPurpose}


async def press(client: TestClientProtocol, path: str) -> Response:
    """Send the form of the page that a link leads to."""
    return await client.post(path, form=TYPED)


async def whole_database(app: Quart) -> dict[str, list[str]]:
    """Return every row of every table, once the outbox has come to rest."""

    async def query(session: AsyncSession) -> dict[str, list[str]]:
        tables = Base.metadata.sorted_tables
        return {table.name: sorted(map(repr, await session.execute(select(table)))) for table in tables}

    async with asyncio.timeout(10), app.app_context():
        while any(is_under_way(mail) for mail in await mails(app)):
            await worker.deliver_batch()
    rows: dict[str, list[str]] = await read(app, query)
    return rows


async def check_refused(client: TestClientProtocol, *paths: str, accept: str = "text/html") -> None:
    """See that links get the response to a link that was never issued, when they are opened and when pressed."""
    headers = {"Accept": accept}
    neutral = await comparable(await client.get("/reset/never-issued", headers=headers))
    assert neutral[0] == 404
    assert "This link does not work" in neutral[1]
    for path in paths:
        assert await comparable(await client.get(path, headers=headers)) == neutral, path
        assert await comparable(await client.post(path, form=TYPED, headers=headers)) == neutral, path


async def events(app: Quart, event: str) -> int:
    """Return how often an event is in the audit log."""
    return await count(app, UserEvent, UserEvent.event == event)


def is_under_way(mail: Email) -> bool:
    """Return whether an e-mail is due, or being delivered."""
    now = clock.now()
    return mail.due_on is not None and mail.expires_on > now and (mail.due_on <= now or mail.tries > 0)
