"""Security alerts: e-mails about suspicious events, with a link that ends the access of an attacker."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.lib import clock
from app.lib.settings.rate import Rate
from app.models import User
from app.models.user_token import TokenPurpose
from app.services import rate_limits, tokens
from app.services.client import COMMAND_LINE, Client
from app.services.rate_limits import Limit

RATE = Rate.parse("10 per hour")  # for each recipient and kind of alert, whichever account it is about


def describe_event(client: Client) -> dict[str, str]:
    """Return the client and the time of an event, for an e-mail."""
    source = {"ip": "", "at_command_line": "yes"} if client == COMMAND_LINE else {"ip": client.ip}
    return source | {"user_agent": client.stored_user_agent, "time": clock.now().isoformat()}


async def send_alert(session: AsyncSession, user: User, template: str, client: Client, **facts: str) -> None:
    """Alert the user, with a link that ends every session and sends a reset link.

    The rate is limited, because an attacker with the password could fill the mailbox. The links of earlier alerts stay
    valid. `facts` are shown by the template.
    """
    if await rate_limits.is_allowed(session, Limit("security_alert", f"{template} {user.email_key}", RATE)):
        facts |= describe_event(client)
        await tokens.send(session, user, TokenPurpose.NOT_ME, template, facts=facts, client=client)
