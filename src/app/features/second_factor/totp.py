"""Time-based one-time passwords (RFC 6238): SHA-1, six digits, a new code every 30 seconds."""

import base64
import hmac
import secrets
from datetime import datetime
from urllib.parse import quote, urlencode

STEP_SECONDS = 30
DIGITS = 6
SECRET_SIZE_BYTES = 20  # RFC 4226, 4
TOLERANCE_STEPS = 1  # steps before and after the present one
CLOCK_ERROR_STEPS = 10  # a code within these steps means that the clock of the phone is wrong


def new_secret() -> bytes:
    return secrets.token_bytes(SECRET_SIZE_BYTES)


def code_at(secret: bytes, step: int) -> str:
    """Return the code of a step (RFC 4226, 5.3)."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def step_at(time: datetime) -> int:
    return int(time.timestamp()) // STEP_SECONDS


def find_step(secret: bytes, code: str, *, now: datetime, tolerance: int = TOLERANCE_STEPS) -> int | None:
    """Return the step to which a code belongs, or None if no step within the tolerance has it."""
    present = step_at(now)
    steps = range(present - tolerance, present + tolerance + 1)
    matching = [step for step in steps if hmac.compare_digest(code_at(secret, step).encode(), code.encode())]
    return matching[0] if matching else None


def as_text(secret: bytes) -> str:
    """Return the secret in base32, for an authenticator app."""
    return base64.b32encode(secret).decode()


def provisioning_uri(secret: bytes, *, issuer: str, email: str) -> str:
    """Return the URI in the QR code (https://github.com/google/google-authenticator/wiki/Key-Uri-Format)."""
    issuer = issuer.replace(":", "")  # it separates the issuer from the account
    values = {"secret": as_text(secret), "issuer": issuer, "algorithm": "SHA1", "digits": DIGITS}
    return f"otpauth://totp/{quote(issuer)}:{quote(email)}?{urlencode(values, quote_via=quote)}&period={STEP_SECONDS}"
