"""Where a request comes from: the connection, or what our own proxies say (TRUSTED_PROXIES)."""

import ipaddress
import re

from quart import request

# Some proxies add the port: 192.0.2.1:4711, [2001:db8::1]:4711.
WITH_PORT = re.compile(r"\[([^\]]*)\](?::[0-9]+)?|([0-9.]+):[0-9]+", re.ASCII)
SUBSCRIBER = 64  # bits: an IPv6 subscriber has all the addresses behind them


def ip_address() -> str:
    """Return the address, or nothing when what we are told is none."""
    address = _parsed(request.remote_addr or "")
    return str(address) if address else ""


def network() -> str:
    """Return whom to count as one: an IPv4 address, or the /64 of an IPv6 address."""
    address = _parsed(request.remote_addr or "")
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(address), SUBSCRIBER), strict=False))
    return str(address) if address else "unknown"


def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    if match := WITH_PORT.fullmatch(text):
        text = match[1] or match[2] or ""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
