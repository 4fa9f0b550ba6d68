"""Reject requests for other hosts. Quart enforces no TRUSTED_HOSTS, and builds links from any Host header."""

from collections.abc import Iterable

from app.lib.asgi.rejection import Middleware
from app.lib.asgi.types import App, Receive, Scope, Send, header_values
from app.lib.settings.base_url import Authority, BaseUrl


class TrustedHostMiddleware(Middleware):
    """Respond with 400 unless the one Host header names the host of BASE_URL, or one of TRUSTED_HOSTS.

    With a loopback BASE_URL every loopback host and port is allowed.
    """

    def __init__(self, app: App, base_url: BaseUrl, *, trusted: Iterable[str]) -> None:
        super().__init__(app, base_url)
        self.allowed = [base_url.authority, *map(Authority.parse, trusted)]

    async def check(self, scope: Scope, receive: Receive, send: Send) -> None:
        hosts = header_values(scope, b"host")
        if not self.is_allowed(hosts):
            reason = f"host {hosts!r} is neither that of BASE_URL nor one of TRUSTED_HOSTS"
            await self.reject(scope, receive, send, 400, reason=reason)
            return
        # The scheme is that of the public URL, not that of the connection from the proxy.
        scheme = self.base_url.scheme if scope["type"] == "http" else scope["scheme"]
        await self.app({**scope, "scheme": scheme}, receive, send)

    def is_allowed(self, hosts: list[str]) -> bool:
        try:
            (host,) = map(Authority.parse, hosts)
        except ValueError:
            return False
        if self.base_url.is_loopback and host.is_loopback:
            return True
        return any(self.base_url.same_host(host, allowed) for allowed in self.allowed)
