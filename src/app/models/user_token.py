"""Single-use tokens of e-mailed links that were not used yet."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.lib import clock
from app.models.base import Base, UtcDateTime, case_sensitive_string
from app.models.user import EMAIL_KEY_LENGTH, EMAIL_LENGTH, User


class TokenPurpose(StrEnum):
    """What the link with a token does: the first part of its path."""

    CONFIRM = "confirm"
    RESET = "reset"
    CHANGE_EMAIL = "change-email"
    UNDO_EMAIL = "undo-email"
    NOT_ME = "not-me"


# A new token of these revokes the older one, and so does a change of the password or the e-mail address. The tokens of
# security alerts stay valid: an attacker in the account must not be able to revoke them.
USER_REQUESTED = (TokenPurpose.CONFIRM, TokenPurpose.RESET, TokenPurpose.CHANGE_EMAIL)


class UserToken(Base):
    __tablename__ = "user_token"
    __table_args__ = {
        **Base.__table_args__,
        "sqlite_autoincrement": True,
    }  # ids are never reused: they order the tokens of one second

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    purpose: Mapped[str] = mapped_column(case_sensitive_string(20))
    digest: Mapped[str] = mapped_column(case_sensitive_string(64), unique=True)  # SHA-256 of the token, in hex
    email: Mapped[str] = mapped_column(String(EMAIL_LENGTH))  # where the link was sent to
    email_key: Mapped[str] = mapped_column(case_sensitive_string(EMAIL_KEY_LENGTH), index=True)
    created_on: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    since: Mapped[datetime | None] = mapped_column(UtcDateTime)  # when an attacker may have gained access, if earlier
    expires_on: Mapped[datetime] = mapped_column(UtcDateTime, index=True)

    user: Mapped[User] = relationship(lazy="raise")
