"""Users, and the normal forms of the e-mail address and the phone number that identify an account."""

import re
from datetime import datetime
from functools import lru_cache
from urllib.parse import quote

import phonenumbers
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


# The local part of an e-mail address. Not = $ { } %, which other programs read as a formula, a template or an escape.
LOCAL_PART = re.compile(r"[a-z0-9.!#&'*+/?^_~-]{1,64}", re.IGNORECASE | re.ASCII)

# A region in which international numbers begin with 00, so that `0049 30 …` is read like `+49 30 …`.
REGION_THAT_DIALS_00 = "DE"
COUNTRY_CODE_SOURCES = {
    phonenumbers.CountryCodeSource.FROM_NUMBER_WITH_PLUS_SIGN,
    phonenumbers.CountryCodeSource.FROM_NUMBER_WITH_IDD,
}


def valid_email(typed: str) -> str:
    """Return an e-mail address as it is stored: as typed, the domain lower-cased. Raises EmailNotValidError."""
    return _validated(typed).normalized


def email_key(typed: str) -> str:
    """Return the key of an e-mail address: lower-case, IDNA, ASCII. Any text has a key, valid or not."""
    typed = typed.strip()
    try:
        validated = _validated(typed)
    except EmailNotValidError:
        # The escapes begin with %, which no valid e-mail address has, so the key never equals that of a valid one.
        return quote(typed, safe="!#&'*+/=?^@", errors="surrogatepass").lower()
    return f"{validated.local_part}@{validated.ascii_domain}".lower()


def ascii_email(kept: str) -> str:
    """Return an e-mail address with its domain in IDNA, which every mail server accepts; an invalid one unchanged."""
    try:
        return _validated(kept).ascii_email or kept
    except EmailNotValidError:
        return kept


def valid_phone(typed: str) -> str:
    """Return a phone number in E.164 format, like +491701234567. Raises ValueError.

    The number must include its country code and have a length that the country uses. Whether its range
    is assigned is not checked: an installed phonenumbers lacks ranges that were assigned later.
    """
    # A letter or an extension would be dropped silently, and another number stored than the user typed.
    if len(typed) > PHONE_LENGTH or any(character.isalpha() for character in typed):
        raise ValueError("not a phone number")
    try:
        # "(0)" is never dialled from abroad. phonenumbers drops it only for countries that still have that prefix.
        number = phonenumbers.parse(typed.replace("(0)", ""), REGION_THAT_DIALS_00, keep_raw_input=True)
    except phonenumbers.NumberParseException as error:
        raise ValueError("not a phone number") from error
    if number.country_code_source not in COUNTRY_CODE_SOURCES or number.extension:
        raise ValueError("a phone number without a country code, or with an extension")
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise ValueError("a phone number of a length that its country does not use")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@lru_cache(maxsize=64)  # a login validates the same e-mail address five times
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
    # SQLite never reuses the id of a deleted user: logs and counters still mean the former one.
    __table_args__ = {**Base.__table_args__, "sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(primary_key=True)
    created_on: Mapped[datetime | None] = mapped_column(UtcDateTime, default=clock.now)
    name: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    email: Mapped[str] = mapped_column(String(EMAIL_LENGTH))
    email_key: Mapped[str] = mapped_column(exact(EMAIL_KEY_LENGTH), unique=True)
    phone: Mapped[str | None] = mapped_column(String(PHONE_LENGTH), unique=True)
    password: Mapped[str | None] = mapped_column(String(255))
    active: Mapped[bool] = mapped_column(default=True)
    confirmed_on: Mapped[datetime | None] = mapped_column(UtcDateTime)  # when the user confirmed the e-mail address
    language: Mapped[str | None] = mapped_column(exact(LANGUAGE_LENGTH))  # of the e-mails to this user

    roles: Mapped[list[Role]] = relationship(
        secondary="user_role", back_populates="users", order_by=Role.name, lazy="raise", passive_deletes=True
    )

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>" if self.name else self.email

    __repr__ = __str__
