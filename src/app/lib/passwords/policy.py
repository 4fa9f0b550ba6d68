"""The password policy of NIST SP 800-63B, 3.1.1: a length, a list of common passwords, and no required characters."""

import re
import unicodedata
from functools import cache
from pathlib import Path

from app.lib.errors import ServiceError
from app.lib.i18n.catalogs import lazy_gettext as _
from app.lib.passwords.hasher import is_valid_text
from app.lib.settings import current_settings

MAX_LENGTH = 256
# Before NFC, which composes up to four characters into one. Normalizing 4,096 takes 60 ms, and 1,024 less than 10.
MAX_TYPED_LENGTH = 4 * MAX_LENGTH
COMMON_PASSWORDS = Path(__file__).with_name("common_passwords.txt")  # source: common_passwords.LICENSE


class PasswordRefused(ServiceError):
    """The password does not meet the policy. The text gives the reason."""


def check_password(password: str, *, email: str) -> None:
    """Raise PasswordRefused if the user with this e-mail address may not have this password."""
    password = unicodedata.normalize("NFC", password[: MAX_TYPED_LENGTH + 1])
    min_length = current_settings()["SECURITY_PASSWORD_LENGTH_MIN"]
    if not is_valid_text(password):
        raise PasswordRefused(_("This password contains a character that cannot be used."))
    if len(password) < min_length:
        raise PasswordRefused(_("Use at least %(number)s characters.", number=min_length))
    if len(password) > MAX_LENGTH:
        raise PasswordRefused(_("Use at most %(number)s characters.", number=MAX_LENGTH))
    if password.casefold() in _parts_of(email):
        raise PasswordRefused(_("Do not use your e-mail address or a part of it."))
    if password.casefold() in _common_passwords():
        raise PasswordRefused(_("This is one of the most common passwords. Choose another one."))


def _parts_of(email: str) -> set[str]:
    email = unicodedata.normalize("NFC", email).casefold()
    return {email, *email.split("@"), *re.split(r"[\W_]+", email)}


@cache
def _common_passwords() -> frozenset[str]:
    return frozenset(COMMON_PASSWORDS.read_text(encoding="utf-8").split("\n"))
