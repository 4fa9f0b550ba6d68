"""How often somebody has done something since a while ago."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base
from app.models.columns import UtcDateTime, exact


class Throttle(Base):
    __tablename__ = "throttle"

    key: Mapped[str] = mapped_column(exact(64), primary_key=True)  # SHA-256 of what is counted, in hex
    used: Mapped[int]
    resets_on: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
