"""The outbox: e-mails that are to be delivered, or were."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from app.lib import clock
from app.models.base import Base, UtcDateTime, case_sensitive_string
from app.models.user import EMAIL_LENGTH, LANGUAGE_LENGTH

ERROR_LENGTH = 200


class Email(Base):
    __tablename__ = "mail"
    __table_args__ = {
        **Base.__table_args__,
        "sqlite_autoincrement": True,
    }  # ids are never reused: Message-ID contains them

    id: Mapped[int] = mapped_column(primary_key=True)
    # No foreign key: the e-mail about the deletion of an account is delivered after it.
    user_id: Mapped[int | None] = mapped_column(index=True)
    template: Mapped[str] = mapped_column(case_sensitive_string(30))  # in templates/emails/
    recipient: Mapped[str] = mapped_column(String(EMAIL_LENGTH))
    language: Mapped[str | None] = mapped_column(case_sensitive_string(LANGUAGE_LENGTH))
    purpose: Mapped[str | None] = mapped_column(case_sensitive_string(20))  # of the token in its link, if there is one
    secret: Mapped[str | None] = mapped_column(
        case_sensitive_string(64)
    )  # that token; of no use without SECRET_KEY, which signs it
    facts: Mapped[dict[str, Any]] = mapped_column(JSON)  # what the template shows
    created_on: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    due_on: Mapped[datetime | None] = mapped_column(
        UtcDateTime, default=clock.now, index=True
    )  # None: not to be tried again
    tries: Mapped[int] = mapped_column(default=0)
    sent_on: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error: Mapped[str | None] = mapped_column(String(ERROR_LENGTH))
    expires_on: Mapped[datetime] = mapped_column(UtcDateTime, index=True)

    @property
    def state(self) -> str:
        if self.sent_on:
            return "sent"
        return "waiting" if self.due_on else "not sent"
