"""What lets somebody in, replaced or taken away."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.models import User
from app.services import accounts, activity, links, notices, sessions
from app.services.activity import COMMAND_LINE, Origin


async def replace(session: AsyncSession, user: User, password_hash: str, origin: Origin) -> None:
    """Give an account another password. Its log-ins end, its links are void, its owner is told."""
    await revoke(session, user)
    user.password = password_hash
    await activity.note(session, user.id, "password_changed", origin)
    await notices.alarm(session, user, "password_changed", origin)


async def revoke(session: AsyncSession, user: User) -> None:
    """Let nobody in any more: no password, no log-in, no link that somebody asked for."""
    user.password = None
    await sessions.end_all(session, user_id=user.id)
    await links.void(session, user.id)


async def set_password(session: AsyncSession, *, email: str, password_hash: str) -> User:
    """Give an account another password for somebody at the command line. Raises UnknownUser."""
    user = await accounts.get_by_email(session, email=email, lock=True)
    await replace(session, user, password_hash, COMMAND_LINE)
    return user


async def end_sessions(session: AsyncSession, *, email: str) -> User:
    """Log an account out everywhere. Raises UnknownUser."""
    user = await accounts.get_by_email(session, email=email, lock=True)
    await sessions.end_all(session, user_id=user.id)
    await activity.note(session, user.id, "sessions_ended", COMMAND_LINE)
    return user
