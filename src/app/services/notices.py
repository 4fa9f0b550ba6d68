"""Mails that tell the owner of an account what was done with it, with a link for when it was not them."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.models import User, clock
from app.models.user_session import USER_AGENT_LENGTH
from app.models.user_token import Purpose
from app.rate import Rate
from app.services import links, throttling
from app.services.activity import COMMAND_LINE, Origin
from app.services.throttling import Limit

AT_MOST = Rate.parse("10 per hour")  # of each kind of notice


def circumstances(origin: Origin) -> dict[str, str]:
    """Say from where and when, for a mail."""
    where = {"ip": "", "at_command_line": "yes"} if origin == COMMAND_LINE else {"ip": origin.ip}
    return where | {"user_agent": origin.user_agent[:USER_AGENT_LENGTH], "time": clock.now().isoformat()}


async def alarm(session: AsyncSession, user: User, template: str, origin: Origin) -> None:
    """Tell the owner, with a link that ends every log-in and starts a reset.

    Not without end: who has the password could fill a mailbox. The links that were mailed before go on working.
    """
    if await throttling.is_allowed(session, Limit("alarm", f"{template} {user.id}", AT_MOST)):
        await links.mail(session, user, Purpose.NOT_ME, template, facts=circumstances(origin))
