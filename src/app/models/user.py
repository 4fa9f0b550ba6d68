"""A person with an account, and the one form of an e-mail address that identifies it."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from urllib.parse import quote

from email_validator import EmailNotValidError, EmailSyntaxError, ValidatedEmail, validate_email
from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models import clock
from app.models.base import Base
from app.models.columns import UtcDateTime, exact
from app.models.role import Role

EMAIL_LENGTH = 254  # RFC 5321, 4.5.3.1.3
EMAIL_KEY_LENGTH = 320
NAME_LENGTH = 100
LANGUAGE_LENGTH = 20
PHONE_LENGTH = 30


# What people have before their @. Other programs read = $ { } % as a formula, a template, an escape: these are refused.
LOCAL_PART = re.compile(r"[a-z0-9.!#&'*+/?^_~-]{1,64}", re.IGNORECASE | re.ASCII)

PHONE = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)  # ITU-T E.164
PHONE_PUNCTUATION = re.compile(r"[ ()./\N{NO-BREAK SPACE}-]")


def valid_email(typed: str) -> str:
    """Return the address as it is to be kept: as typed, the domain lower-cased. Raises EmailNotValidError."""
    return _validated(typed).normalized


def email_key(typed: str) -> str:
    """Return what identifies the account of an address: lower-case, IDNA, ASCII. Any text has one, valid or not."""
    typed = typed.strip()
    try:
        validated = _validated(typed)
    except EmailNotValidError:
        # The escapes begin with a character that no valid address has, so a text never has the key of an address.
        return quote(typed, safe="!#&'*+/=?^@", errors="surrogatepass").lower()
    return f"{validated.local_part}@{validated.ascii_domain}".lower()


def ascii_email(kept: str) -> str:
    """Return the address as every mail server takes it: with an IDNA domain. One that is not valid stays as it is."""
    try:
        return _validated(kept).ascii_email or kept
    except EmailNotValidError:
        return kept


def valid_phone(typed: str) -> str:
    """Return a number as it is to be kept, +491701234567. Raises ValueError for one without its country's code."""
    number = PHONE_PUNCTUATION.sub("", typed.replace("(0)", ""))
    number = f"+{number[2:]}" if number.startswith("00") else number
    if not PHONE.fullmatch(number):
        raise ValueError("no number with the code of its country")
    return number


@lru_cache(maxsize=64)  # a log-in asks for the same one five times
def _validated(typed: str) -> ValidatedEmail:
    # Few mail servers take letters outside ASCII before the @, and many of them look alike: mike and mıke.
    validated = validate_email(typed, check_deliverability=False, allow_smtputf8=False)
    if not LOCAL_PART.fullmatch(validated.local_part):
        raise EmailSyntaxError("The part before the @ has a character that is not used in addresses.")
    return validated


class UserRole(Base):
    __tablename__ = "user_role"
    __table_args__ = (UniqueConstraint("user_id", "role_id"), Base.__table_args__)

    id: Mapped[int] = mapped_column(primary_key=True)
    created_on: Mapped[datetime | None] = mapped_column(UtcDateTime, default=clock.now)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    role_id: Mapped[int] = mapped_column(ForeignKey("role.id", ondelete="CASCADE"), index=True)


class User(Base):
    __tablename__ = "user"
    # The number of an account that is gone is never given again: logs and counters mean the former one.
    __table_args__ = {**Base.__table_args__, "sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(primary_key=True)
    created_on: Mapped[datetime | None] = mapped_column(UtcDateTime, default=clock.now)
    name: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    email: Mapped[str] = mapped_column(String(EMAIL_LENGTH))
    email_key: Mapped[str] = mapped_column(exact(EMAIL_KEY_LENGTH), unique=True)
    phone: Mapped[str | None] = mapped_column(String(PHONE_LENGTH), unique=True)
    password: Mapped[str | None] = mapped_column(String(255))
    active: Mapped[bool] = mapped_column(default=True)
    confirmed_on: Mapped[datetime | None] = mapped_column(UtcDateTime)  # when the address proved to be theirs
    language: Mapped[str | None] = mapped_column(exact(LANGUAGE_LENGTH))  # of the mails to them

    roles: Mapped[list[Role]] = relationship(
        secondary="user_role", back_populates="users", order_by=Role.name, lazy="raise", passive_deletes=True
    )

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>" if self.name else self.email

    __repr__ = __str__
