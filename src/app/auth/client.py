"""The client of a request: its IP address is that of the connection, or what TRUSTED_PROXIES have added."""

import ipaddress
import re

from app.lib.i18n.catalogs import request_language
from app.lib.web.request import current_connection
from app.services.client import Client

# Some proxies add the port: 192.0.2.1:4711, [2001:db8::1]:4711.
WITH_PORT = re.compile(r"\[([^\]]*)\](?::[0-9]+)?|([0-9.]+):[0-9]+", re.ASCII)
SUBSCRIBER_PREFIX_BITS = 64  # an IPv6 subscriber has all IP addresses with one such prefix


def current_client() -> Client:
    """Return the client of the current request or websocket."""
    return Client(ip_address(), current_connection().user_agent.string, network(), request_language())


def ip_address() -> str:
    """Return the IP address of the client; an empty text if a proxy has sent something else."""
    address = _parse(current_connection().remote_addr or "")
    return str(address) if address else ""


def network() -> str:
    """Return what rate limits count: an IPv4 address, or the /64 network of an IPv6 address."""
    address = _parse(current_connection().remote_addr or "")
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(address), SUBSCRIBER_PREFIX_BITS), strict=False))
    return str(address) if address else "unknown"


def _parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    if match := WITH_PORT.fullmatch(text):
        text = match[1] or match[2] or ""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
