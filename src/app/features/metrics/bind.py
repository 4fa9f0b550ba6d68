"""METRICS_BIND: the bind address of the metrics."""

import ipaddress
import socket
from collections.abc import Mapping
from typing import Any

from app.lib.settings.base_url import Authority


def parse(config: Mapping[str, Any]) -> tuple[str, int]:
    """Return the host and the port. Raises ValueError, with a message that names valid values."""
    bind = config["METRICS_BIND"]
    try:
        host, port = Authority.parse(bind)
    except ValueError:
        host, port = "", None
    if not host or port is None:
        raise ValueError(f"METRICS_BIND is {bind!r}: write an IP address or a host with a port, like 127.0.0.1:9100")
    if bind == config["BIND"]:
        raise ValueError(f"METRICS_BIND is {bind!r}, which is BIND too: write another port")
    return host.strip("[]"), port


async def check(config: Mapping[str, Any]) -> list[str]:
    """Find a bind address that other networks may reach. The metrics have no login."""
    if not config["METRICS_BIND"] or not any(map(is_public, ip_addresses(*parse(config)))):
        return []
    reason = "other networks may reach, and metrics need no login: write a loopback or private IP address"
    return [f"METRICS_BIND is {config['METRICS_BIND']}, which {reason}"]


def ip_addresses(host: str, port: int) -> set[str]:
    try:
        return {str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except OSError:
        return set()  # a name of another machine


def is_public(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    return ip.is_unspecified or ip.is_global
