"""BASE_URL, the public URL of the site, and the hosts of Host headers."""

import ipaddress
import re
from typing import NamedTuple
from urllib.parse import urlsplit

import idna

DEFAULT_PORTS = {"http": 80, "https": 443}
# A host as browsers send it (RFC 9110, 7.2): a name, an IPv4 address, or an IPv6 address in brackets; maybe a port.
AUTHORITY = re.compile(
    r"([a-z0-9](?:[a-z0-9_.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?", re.IGNORECASE | re.ASCII
)


class Authority(NamedTuple):
    """A host and, if there is one, a port."""

    host: str
    port: int | None

    @classmethod
    def parse(cls, text: str, *, name: str = "Host") -> "Authority":
        """Parse `host` or `host:port`. Raises ValueError, which names the setting."""
        match = AUTHORITY.fullmatch(text)
        if match is None or (match[2] and not 0 < int(match[2]) < 65536):
            raise ValueError(f"{name}: {text!r} is not a host")
        return cls(match[1].lower(), int(match[2]) if match[2] else None)

    @property
    def is_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False


def in_ascii(authority: str) -> str:
    """Return a host in any script as browsers send it, in IDNA: `bücher.example:8443`. Raises ValueError."""
    if authority.isascii():
        return authority
    host, colon, port = authority.partition(":")
    return idna.encode(host, uts46=True).decode() + colon + port


class BaseUrl(NamedTuple):
    """The parts of BASE_URL."""

    scheme: str
    authority: Authority

    @classmethod
    def parse(cls, text: str) -> "BaseUrl":
        """Parse a URL such as https://www.example.com. Raises ValueError for one with a path or another scheme."""
        wrong = ValueError(f"BASE_URL is {text!r}; it must be like https://www.example.com")
        if not text.isprintable():  # urlsplit drops line breaks without an error
            raise wrong
        try:
            parts = urlsplit(text)
            authority = Authority.parse(in_ascii(parts.netloc))
        except ValueError:
            raise wrong from None
        if parts.scheme not in DEFAULT_PORTS or parts.path.strip("/") or parts.query or parts.fragment:
            raise wrong
        return cls(parts.scheme, authority)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}"

    @property
    def netloc(self) -> str:
        host, port = self.authority
        return host if port in (None, DEFAULT_PORTS[self.scheme]) else f"{host}:{port}"

    @property
    def is_secure(self) -> bool:
        return self.scheme == "https"

    @property
    def is_loopback(self) -> bool:
        return self.authority.is_loopback

    def same_host(self, one: Authority, other: Authority) -> bool:
        """Return whether both have the same host and port. Without a port, it is the default of the scheme."""
        default = DEFAULT_PORTS[self.scheme]
        return one.host == other.host and (one.port or default) == (other.port or default)
