"""The password policy, by NIST SP 800-63B, 3.1.1: length and a list of common ones, no required characters."""

import re
import unicodedata
from functools import cache
from pathlib import Path

from app.languages import gettext as _
from app.services.passwords import is_usable
from app.services.refusals import Refusal

LENGTH_MAX = 256
COMMON = Path(__file__).with_name("common_passwords.txt")  # its origin: common_passwords.LICENSE


class PasswordRefused(Refusal):
    """The password may not be used. The message gives the reason to the user."""


def check_password(password: str, *, email: str, length_min: int) -> None:
    """Raise PasswordRefused if the password does not meet the policy for the user of this e-mail address."""
    password = unicodedata.normalize("NFC", password)
    if not is_usable(password):
        raise PasswordRefused(_("There is a character in it that cannot be used."))
    if len(password) < length_min:
        raise PasswordRefused(_("Use %(least)s characters or more.", least=length_min))
    if len(password) > LENGTH_MAX:
        raise PasswordRefused(_("Use %(most)s characters at most.", most=LENGTH_MAX))
    if password.casefold() in _parts_of(email):
        raise PasswordRefused(_("Do not use your e-mail address or a part of it."))
    if password.casefold() in _common_passwords():
        raise PasswordRefused(_("This is one of the most common passwords. Choose another."))


def _parts_of(email: str) -> set[str]:
    email = unicodedata.normalize("NFC", email).casefold()
    return {email, *email.split("@"), *re.split(r"[\W_]+", email)}


@cache
def _common_passwords() -> frozenset[str]:
    return frozenset(COMMON.read_text(encoding="utf-8").split("\n"))
