"""Only our own hosts: Quart enforces no TRUSTED_HOSTS, and would build links from whatever the Host header says."""

from collections.abc import Iterable

from app.base_url import Authority, BaseUrl
from app.middleware.asgi import App, Guard, Receive, Scope, Send, headers_named


class HostGuard(Guard):
    """Answer 400 unless the request names BASE_URL's host, or one of TRUSTED_HOSTS, and names it once and well.

    On a loopback BASE_URL every loopback host and port will do.
    """

    def __init__(self, app: App, base_url: BaseUrl, *, trusted: Iterable[str]) -> None:
        super().__init__(app, base_url)
        self.allowed = [base_url.authority, *map(Authority.parse, trusted)]

    async def check(self, scope: Scope, receive: Receive, send: Send) -> None:
        hosts = headers_named(scope, b"host")
        if not self.is_ours(hosts):
            why = f"host {hosts!r} is neither that of BASE_URL nor among TRUSTED_HOSTS"
            await self.refuse(scope, receive, send, 400, why=why)
            return
        # The address that people see decides, not the connection from our own proxy.
        scheme = self.base_url.scheme if scope["type"] == "http" else scope["scheme"]
        await self.app({**scope, "scheme": scheme}, receive, send)

    def is_ours(self, hosts: list[str]) -> bool:
        try:
            (host,) = map(Authority.parse, hosts)
        except ValueError:
            return False
        if self.base_url.is_loopback and host.is_loopback:
            return True
        return any(self.base_url.same_host(host, allowed) for allowed in self.allowed)
