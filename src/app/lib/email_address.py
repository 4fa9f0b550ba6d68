"""E-mail addresses: validation, and the normal form that identifies an account."""

import re
from functools import lru_cache
from urllib.parse import quote

from email_validator import EmailNotValidError, EmailSyntaxError, ValidatedEmail, validate_email

# The local part of an e-mail address. Not = $ { } %, which other programs read as a formula, a template or an escape,
# nor / and ?, with which our e-mails to `www.evil.example/login?x@…` would show the URL of an attacker.
LOCAL_PART = re.compile(r"[a-z0-9.!#&'*+^_~-]{1,64}", re.IGNORECASE | re.ASCII)
# Unicode's spaces (category Zs): a copied e-mail address may have a no-break space before it.
SPACES = " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
MAX_LABEL_LENGTH = 63  # of a domain (RFC 1035, 2.3.4)


def strip_spaces(typed: str) -> str:
    """Return text without the spaces around it, including no-break spaces. Line breaks are kept."""
    return typed.strip(SPACES)


def valid_email(typed: str) -> str:
    """Return an e-mail address as it is stored: without spaces around it, the domain lower-cased.

    Raises EmailNotValidError.
    """
    return _validated(strip_spaces(typed)).normalized


@lru_cache(maxsize=64)  # a login needs it several times, also for an address that is not valid
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


@lru_cache(maxsize=64)  # a login validates the same e-mail address five times
def _validated(typed: str) -> ValidatedEmail:
    if any(len(label) > MAX_LABEL_LENGTH for label in typed.rpartition("@")[2].split(".")):
        raise EmailSyntaxError("A part of the domain is too long.")  # first: IDNA takes long for it
    # Few mail servers take letters outside ASCII before the @, and many of them look alike: mike and mıke.
    validated = validate_email(typed, check_deliverability=False, allow_smtputf8=False)
    if not LOCAL_PART.fullmatch(validated.local_part):
        raise EmailSyntaxError("The part before the @ has a character that is not used in addresses.")
    return validated
