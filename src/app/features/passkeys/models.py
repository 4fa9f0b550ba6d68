"""Passkeys, user handles, and used challenges."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, UtcDateTime, case_sensitive_string

NAME_LENGTH = 50
HANDLE_LENGTH = 43  # 32 bytes in base64url
NONCE_LENGTH = 22  # 16 bytes in base64url
MAX_CREDENTIAL_ID_BYTES = 1023  # WebAuthn, section 4
CREDENTIAL_ID_LENGTH = 1364  # 1023 bytes in base64url
PUBLIC_KEY_LENGTH = 1024  # an RSA key of 4096 bits has 710
TRANSPORTS_LENGTH = 50


class Passkey(Base):
    """A public key of WebAuthn (https://www.w3.org/TR/webauthn-3/). Bytes are stored in base64url."""

    __tablename__ = "passkey"
    __table_args__ = {**Base.__table_args__, "sqlite_autoincrement": True}  # an old tab must not remove a newer passkey

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    digest: Mapped[str] = mapped_column(case_sensitive_string(64), unique=True)  # SHA-256 of the credential id, in hex
    credential_id: Mapped[str] = mapped_column(case_sensitive_string(CREDENTIAL_ID_LENGTH))
    public_key: Mapped[str] = mapped_column(case_sensitive_string(PUBLIC_KEY_LENGTH))  # COSE
    sign_count: Mapped[int] = mapped_column(BigInteger)  # of 32 bits; 0 if the authenticator does not count
    backup_eligible: Mapped[bool]  # a password manager may copy it to other devices; this never changes
    backed_up: Mapped[bool]  # at the last use
    transports: Mapped[str] = mapped_column(case_sensitive_string(TRANSPORTS_LENGTH))  # separated by commas
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    created_on: Mapped[datetime] = mapped_column(UtcDateTime)
    last_used_on: Mapped[datetime | None] = mapped_column(UtcDateTime)


class PasskeyHandle(Base):
    """The random identifier of a user in authenticators. It reveals neither the id nor the e-mail address."""

    __tablename__ = "passkey_handle"

    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), primary_key=True)
    handle: Mapped[str] = mapped_column(case_sensitive_string(HANDLE_LENGTH), unique=True)


class PasskeyChallenge(Base):
    """A used challenge. The row stays until the challenge expires, so that it cannot be used again."""

    __tablename__ = "passkey_challenge"

    nonce: Mapped[str] = mapped_column(case_sensitive_string(NONCE_LENGTH), primary_key=True)
    expires_on: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
