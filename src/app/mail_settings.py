"""Whether mails can leave, and from whom."""

import re
from collections.abc import MutableMapping
from email.utils import parseaddr
from typing import Any

from email_validator import EmailNotValidError

from app.models.user import valid_email

SENDER = re.compile(r"[^<>,\"\x00-\x1f]+<[^<>\s]+>|[^<>,\s]+")  # a name and an address, or an address


def derive_mail(config: MutableMapping[str, Any], *, loopback: bool) -> None:
    """Say whether mails can leave, or at least be looked at, and switch off what needs them."""
    if config["MAIL_SERVER"]:
        check_sender(config["MAIL_DEFAULT_SENDER"])
    if config["MAIL_USE_TLS"] and config["MAIL_USE_SSL"]:
        raise ValueError("MAIL_USE_TLS and MAIL_USE_SSL exclude each other")
    config["MAIL_STAYS"] = stays = loopback and not config["MAIL_SERVER"] and not config["TRUSTED_PROXIES"]
    config["MAIL_CAN_LEAVE"] = can_leave = bool(config["MAIL_SERVER"]) or stays
    if config["SECURITY_CONFIRMABLE"] and not can_leave:
        raise ValueError("SECURITY_CONFIRMABLE needs a MAIL_SERVER: nobody could confirm an address")
    config["SECURITY_RECOVERABLE"] = config["SECURITY_RECOVERABLE"] and can_leave


def check_sender(sender: str) -> None:
    """Raise ValueError unless mails can come from this address."""
    wrong = ValueError(f"MAIL_DEFAULT_SENDER is {sender!r}; it has to be like 'Example <site@example.com>'")
    if not SENDER.fullmatch(sender):
        raise wrong
    try:
        valid_email(parseaddr(sender)[1])
    except EmailNotValidError:
        raise wrong from None
