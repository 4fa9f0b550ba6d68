"""The audit log of an account, which its user can read. Rows are added and purged, never changed."""

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.lib import clock
from app.models.base import Base, UtcDateTime, case_sensitive_string
from app.models.user_session import IP_LENGTH, USER_AGENT_LENGTH


class UserEvent(Base):
    __tablename__ = "user_event"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    event: Mapped[str] = mapped_column(case_sensitive_string(30))
    ip: Mapped[str] = mapped_column(String(IP_LENGTH))
    user_agent: Mapped[str] = mapped_column(String(USER_AGENT_LENGTH))
    created_on: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    expires_on: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
