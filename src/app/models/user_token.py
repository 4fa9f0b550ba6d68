"""A link that was mailed to somebody and not used yet."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models import clock
from app.models.base import Base
from app.models.columns import UtcDateTime, exact
from app.models.user import EMAIL_KEY_LENGTH, EMAIL_LENGTH, User


class Purpose(StrEnum):
    """What a mailed link does: the first part of its path."""

    CONFIRM = "confirm"
    RESET = "reset"
    CHANGE_EMAIL = "change-email"
    UNDO_EMAIL = "undo-email"
    NOT_ME = "not-me"


# What a person asked for: a newer one makes the older void, and so does a change of the password or of the address.
# The others raise an alarm: a thief must not be able to switch them off.
ASKED_FOR = (Purpose.CONFIRM, Purpose.RESET, Purpose.CHANGE_EMAIL)


class UserToken(Base):
    __tablename__ = "user_token"
    __table_args__ = {**Base.__table_args__, "sqlite_autoincrement": True}  # a number means one row for ever

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    purpose: Mapped[str] = mapped_column(exact(20))
    digest: Mapped[str] = mapped_column(exact(64), unique=True)  # SHA-256 of the secret, in hex
    email: Mapped[str] = mapped_column(String(EMAIL_LENGTH))  # where the link was sent to
    email_key: Mapped[str] = mapped_column(exact(EMAIL_KEY_LENGTH), index=True)
    created_on: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    expires_on: Mapped[datetime] = mapped_column(UtcDateTime, index=True)

    user: Mapped[User] = relationship(lazy="raise")
