"""The hits of a rate limit in the current window."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, UtcDateTime, case_sensitive_string


class RateLimit(Base):
    __tablename__ = "throttle"

    key: Mapped[str] = mapped_column(
        case_sensitive_string(64), primary_key=True
    )  # SHA-256 of the limit and its subject, in hex
    used: Mapped[int]
    resets_on: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
