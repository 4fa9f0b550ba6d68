"""Users."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.lib import clock
from app.lib.phone import PHONE_LENGTH
from app.models.base import Base, UtcDateTime, case_sensitive_string
from app.models.role import Role

EMAIL_LENGTH = 254  # RFC 5321, 4.5.3.1.3
EMAIL_KEY_LENGTH = 320
NAME_LENGTH = 100
LANGUAGE_LENGTH = 20


class User(Base):
    __tablename__ = "user"
    # SQLite must not reuse the id of a deleted user, which logs and rate limits still contain.
    __table_args__ = {**Base.__table_args__, "sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(primary_key=True)
    created_on: Mapped[datetime | None] = mapped_column(UtcDateTime, default=clock.now)
    name: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    email: Mapped[str] = mapped_column(String(EMAIL_LENGTH))
    email_key: Mapped[str] = mapped_column(case_sensitive_string(EMAIL_KEY_LENGTH), unique=True)
    phone: Mapped[str | None] = mapped_column(String(PHONE_LENGTH), unique=True)
    password: Mapped[str | None] = mapped_column(String(255))
    active: Mapped[bool] = mapped_column(default=True)
    confirmed_on: Mapped[datetime | None] = mapped_column(UtcDateTime)  # when the user confirmed the e-mail address
    language: Mapped[str | None] = mapped_column(case_sensitive_string(LANGUAGE_LENGTH))  # of the e-mails to this user

    roles: Mapped[list[Role]] = relationship(
        secondary="user_role", back_populates="users", order_by=Role.name, lazy="raise", passive_deletes=True
    )

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>" if self.name else self.email

    __repr__ = __str__
