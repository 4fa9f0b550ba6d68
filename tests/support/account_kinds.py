"""Accounts of every kind that a response must not tell apart."""

from quart import Quart
from sqlalchemy import func, update

from app.models import User, UserToken
from app.models.user_token import TokenPurpose
from support.actions import EMAIL, create_user, execute
from support.email_links import join, mailed_link

# All e-mail addresses have the same length, so that Content-Length is the same.
KINDS = ("unknown", "confirmed", "unconfirmed", "closed", "without a password", "reserved")
EMAIL_OF = {kind: f"{number}@example.com" for number, kind in enumerate(KINDS)}


async def create_every_kind(app: Quart) -> None:
    """Create an account of each kind. The reserved e-mail address may come back to an account that has left it."""
    await create_user(app, EMAIL_OF["unconfirmed"])
    await create_user(app, EMAIL_OF["closed"], active=False)
    await create_user(app, EMAIL_OF["without a password"], password=None)
    is_confirmed = User.email.in_([EMAIL_OF[kind] for kind in ("closed", "without a password")])
    await execute(app, update(User).where(is_confirmed).values(confirmed_on=func.now()))
    await join(app, EMAIL_OF["confirmed"])
    await join(app, EMAIL)
    await mailed_link(app, TokenPurpose.UNDO_EMAIL)
    undo, former = update(UserToken).where(UserToken.purpose == TokenPurpose.UNDO_EMAIL), EMAIL_OF["reserved"]
    await execute(app, undo.values(email=former, email_key=former))
