"""MAIL_*: whether e-mails can be sent, and by which sender."""

import re
from collections.abc import MutableMapping
from email.utils import parseaddr
from typing import Any

from app.lib.email_address import valid_email
from app.lib.settings.base_url import Authority

SENDER = re.compile(r"[^<>,\"\x00-\x1f]+<[^<>\s]+>|[^<>,\s]+")  # a name and an e-mail address, or an e-mail address


def derive_mail(config: MutableMapping[str, Any], *, loopback: bool) -> None:
    """Set MAIL_DEV_MAILBOX and MAIL_ENABLED, and switch off the features that need e-mail. Raises ValueError."""
    if config["MAIL_SERVER"] and not config["MAIL_DEFAULT_SENDER"]:
        raise ValueError("MAIL_SERVER needs a MAIL_DEFAULT_SENDER, like 'Example <site@example.com>'")
    is_local = loopback and all(Authority.parse(host).is_loopback for host in config["TRUSTED_HOSTS"])
    has_mailbox = is_local and not config["MAIL_SERVER"] and not config["TRUSTED_PROXIES"]
    config["MAIL_DEV_MAILBOX"] = has_mailbox
    config["MAIL_ENABLED"] = is_enabled = bool(config["MAIL_SERVER"]) or has_mailbox
    if config["SECURITY_CONFIRMABLE"] and not is_enabled:
        raise ValueError("SECURITY_CONFIRMABLE needs a MAIL_SERVER: no user could confirm an e-mail address")
    config["SECURITY_RECOVERABLE"] = config["SECURITY_RECOVERABLE"] and is_enabled


def read_sender(value: Any) -> str:
    """Read a sender as Flask-Mail does: text, or a tuple of a name and an e-mail address. Raises ValueError."""
    if not value:
        return ""
    sender = value if isinstance(value, str) else "{} <{}>".format(*value)
    if not SENDER.fullmatch(sender):
        raise ValueError
    valid_email(parseaddr(sender)[1])
    return sender
