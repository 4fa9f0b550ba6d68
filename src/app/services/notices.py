"""Mails that tell the owner of an account what was done with it, with a link for when it was not them."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.models import User, clock
from app.models.user_agent import in_words
from app.models.user_token import Purpose
from app.services import links
from app.services.activity import Origin


def circumstances(origin: Origin) -> dict[str, str]:
    """Say from where and when, for a mail."""
    return {"device": in_words(origin.user_agent), "ip": origin.ip, "time": f"{clock.now():%Y-%m-%d %H:%M} UTC"}


async def alarm(session: AsyncSession, user: User, template: str, origin: Origin) -> None:
    """Tell the owner, with a link that ends every log-in and starts a reset."""
    await links.mail(session, user, Purpose.NOT_ME, template, facts=circumstances(origin))
