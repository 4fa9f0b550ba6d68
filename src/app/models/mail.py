"""A mail that is to leave, or has left: the outbox."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from app.models import clock
from app.models.base import Base
from app.models.columns import UtcDateTime, exact
from app.models.user import EMAIL_LENGTH, LANGUAGE_LENGTH

ERROR_LENGTH = 200


class Mail(Base):
    __tablename__ = "mail"
    __table_args__ = {**Base.__table_args__, "sqlite_autoincrement": True}  # a number means one row for ever

    id: Mapped[int] = mapped_column(primary_key=True)
    # No foreign key: the mail that says good-bye leaves when its user has gone.
    user_id: Mapped[int | None] = mapped_column(index=True)
    template: Mapped[str] = mapped_column(exact(30))  # in templates/mails/
    recipient: Mapped[str] = mapped_column(String(EMAIL_LENGTH))
    language: Mapped[str | None] = mapped_column(exact(LANGUAGE_LENGTH))
    purpose: Mapped[str | None] = mapped_column(exact(20))  # of the link in it, if there is one
    secret: Mapped[str | None] = mapped_column(exact(64))  # of that link; worth nothing without SECRET_KEY
    facts: Mapped[dict[str, Any]] = mapped_column(JSON)  # what else the template shows
    created_on: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    due_on: Mapped[datetime | None] = mapped_column(UtcDateTime, default=clock.now, index=True)  # none: not again
    tries: Mapped[int] = mapped_column(default=0)
    sent_on: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error: Mapped[str | None] = mapped_column(String(ERROR_LENGTH))
    expires_on: Mapped[datetime] = mapped_column(UtcDateTime, index=True)

    @property
    def state(self) -> str:
        if self.sent_on:
            return "sent"
        return "waiting" if self.due_on else "not sent"
