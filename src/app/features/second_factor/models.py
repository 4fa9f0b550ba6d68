"""Second factors, recovery codes, and pending logins."""

from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.lib import clock
from app.models.base import Base, UtcDateTime, case_sensitive_string
from app.models.user import User

TARGET_LENGTH = 2000


class SecondFactor(Base):
    __tablename__ = "second_factor"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), unique=True)
    secret: Mapped[str] = mapped_column(case_sensitive_string(255))  # encrypted
    last_step: Mapped[int]  # of the last used code; this step and earlier ones are refused
    wrong_codes: Mapped[int] = mapped_column(default=0)  # since the last correct one
    created_on: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)


class RecoveryCode(Base):
    __tablename__ = "recovery_code"
    __table_args__ = (UniqueConstraint("user_id", "number"), Base.__table_args__)

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    number: Mapped[int]  # the first two digits of the code
    hash: Mapped[str] = mapped_column(String(255))
    created_on: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)


class LoginAttempt(Base):
    """A pending login: the password was correct, and the code is still required."""

    __tablename__ = "login_attempt"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    digest: Mapped[str] = mapped_column(case_sensitive_string(64), unique=True)  # SHA-256 of the token, in hex
    password_digest: Mapped[str] = mapped_column(case_sensitive_string(64))  # SHA-256 of the verified password hash
    remember: Mapped[bool]
    target: Mapped[str] = mapped_column(case_sensitive_string(TARGET_LENGTH))  # the page to open after the login
    tries: Mapped[int] = mapped_column(default=0)
    created_on: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    expires_on: Mapped[datetime] = mapped_column(UtcDateTime, index=True)

    user: Mapped[User] = relationship(lazy="raise")
