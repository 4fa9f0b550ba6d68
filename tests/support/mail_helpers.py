"""The e-mails in the outbox, as their readers will see them."""

import re

from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import select

from app.mail import rendering
from app.mail.rendering import RenderedEmail
from app.models import Email
from support.actions import scalars


async def mails(app: Quart, template: str | None = None, *, to: str | None = None) -> list[Email]:
    """Return the e-mails in the outbox, the oldest first."""
    found = await scalars(app, select(Email).order_by(Email.id))
    return [mail for mail in found if template in (None, mail.template) and to in (None, mail.recipient)]


async def rendered_emails(app: Quart, template: str | None = None, *, to: str | None = None) -> list[RenderedEmail]:
    found = await mails(app, template, to=to)
    async with app.app_context():
        return [await rendering.render(mail) for mail in found]


async def link(app: Quart, template: str, *, to: str | None = None) -> str:
    """Return the path of the link in the newest e-mail of a kind."""
    found = [mail for mail in await mails(app, template, to=to) if mail.secret]
    assert found, f"no link in an e-mail {template!r}"
    async with app.app_context():
        return re.sub(r"^https?://[^/]+", "", rendering.link_of(found[-1]) or "")


async def follow(client: TestClientProtocol, path: str, **typed: str) -> int:
    """Open a link and press the button of its page; return the status of the last response."""
    opened = await client.get(path)
    if opened.status_code != 200:
        return opened.status_code
    return (await client.post(path, form=typed)).status_code
