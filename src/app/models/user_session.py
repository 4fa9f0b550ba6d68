"""Sessions: one row for each browser that is logged in."""

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.lib import clock
from app.models.base import Base, UtcDateTime, case_sensitive_string
from app.models.user import User

IP_LENGTH = 45
USER_AGENT_LENGTH = 255


class UserSession(Base):
    __tablename__ = "user_session"
    # SQLite must not reuse the id of a session that has ended: a request of it, or an old tab, would mean the next one.
    __table_args__ = {**Base.__table_args__, "sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    digest: Mapped[str] = mapped_column(case_sensitive_string(64), unique=True)  # SHA-256 of the session token, in hex
    remember: Mapped[bool] = mapped_column(default=False)
    created_on: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    last_seen_on: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    expires_on: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    authenticated_on: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    ip: Mapped[str] = mapped_column(String(IP_LENGTH))
    user_agent: Mapped[str] = mapped_column(String(USER_AGENT_LENGTH))

    user: Mapped[User] = relationship(lazy="raise")
