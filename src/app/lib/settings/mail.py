"""MAIL_*: whether e-mails can be sent, and by which sender."""

import ipaddress
import re
from collections.abc import MutableMapping
from contextlib import suppress
from email.utils import parseaddr, quote
from typing import Any

from app.lib.email_address import valid_email
from app.lib.settings.base_url import Authority, in_ascii
from app.lib.settings.readers import read_text

# A name and an e-mail address, or an e-mail address. A name with a comma is in quotes (RFC 5322, 3.2.4).
NAME = r"[^<>,\"\x00-\x1f]+"
QUOTED_NAME = r'"(?:[^"\\\x00-\x1f]|\\["\\])+"\s*'
SENDER = re.compile(rf"(?:{NAME}|{QUOTED_NAME})<[^<>\s]+>|[^<>,\s]+")


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
    sender = value if isinstance(value, str) else join_sender(*value)
    if not SENDER.fullmatch(sender):
        raise ValueError
    valid_email(parseaddr(sender)[1])
    return sender


def join_sender(name: str | None, address: str) -> str:
    """Return a name and an e-mail address as one text. The name is in quotes if it needs them."""
    if not name:
        return address
    return f"{name} <{address}>" if re.fullmatch(NAME, name) else f'"{quote(name)}" <{address}>'


def read_mail_server(value: Any) -> str:
    """Read the host of an SMTP server: a name or an IP address. Raises ValueError for one with a port."""
    if not value:
        return ""
    host = in_ascii(read_text(value))
    with suppress(ValueError):
        return str(ipaddress.ip_address(host.strip("[]")))
    if Authority.parse(host).port is not None:
        raise ValueError
    return host
