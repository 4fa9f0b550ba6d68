"""Roles, and which users have them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.lib import clock
from app.models.base import Base, UtcDateTime, case_sensitive_string

if TYPE_CHECKING:
    from app.models.user import User


NAME_LENGTH = 30
DESCRIPTION_LENGTH = 200


class Role(Base):
    __tablename__ = "role"

    id: Mapped[int] = mapped_column(primary_key=True)
    created_on: Mapped[datetime | None] = mapped_column(UtcDateTime, default=clock.now)
    name: Mapped[str] = mapped_column(case_sensitive_string(NAME_LENGTH, "utf8mb4"), unique=True)
    description: Mapped[str | None] = mapped_column(String(DESCRIPTION_LENGTH))

    users: Mapped[list[User]] = relationship(secondary="user_role", back_populates="roles", lazy="raise")

    def __str__(self) -> str:
        return self.name

    __repr__ = __str__


class UserRole(Base):
    __tablename__ = "user_role"
    __table_args__ = (UniqueConstraint("user_id", "role_id"), Base.__table_args__)

    id: Mapped[int] = mapped_column(primary_key=True)
    created_on: Mapped[datetime | None] = mapped_column(UtcDateTime, default=clock.now)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    role_id: Mapped[int] = mapped_column(ForeignKey("role.id", ondelete="CASCADE"), index=True)
