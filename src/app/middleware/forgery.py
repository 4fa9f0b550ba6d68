"""Whether a request comes from our own pages. No tokens: nothing in a form expires in an open tab.

The rule of Go 1.25, Rails 8.2 and ASP.NET Core 11: browsers say where a request comes from, in headers that no page
can set.
"""

from urllib.parse import urlsplit

from app.base_url import Authority
from app.middleware.asgi import Guard, Receive, Scope, Send, headers_named

SAFE_METHODS = {"GET", "HEAD", "OPTIONS", "TRACE"}  # RFC 9110, 9.2.1: they change nothing


class ForgeryGuard(Guard):
    """Answer 403 to an unsafe request that another site made a browser send. What no browser sent passes."""

    async def check(self, scope: Scope, receive: Receive, send: Send) -> None:
        safe = scope["type"] == "http" and scope["method"] in SAFE_METHODS
        if safe or self.is_from_us(scope):
            await self.app(scope, receive, send)
        else:
            await self.refuse(scope, receive, send, 403, why="it comes from another site")

    def is_from_us(self, scope: Scope) -> bool:
        if sites := headers_named(scope, b"sec-fetch-site"):
            return sites in (["same-origin"], ["none"])
        if origins := headers_named(scope, b"origin"):
            return len(origins) == 1 and self.is_our_origin(origins[0], headers_named(scope, b"host")[0])
        return True

    def is_our_origin(self, origin: str, host: str) -> bool:
        try:
            parts = urlsplit(origin)
            theirs = Authority.parse(parts.netloc)
        except ValueError:  # `null`, or nonsense
            return False
        return parts.scheme == self.base_url.scheme and self.base_url.same_host(theirs, Authority.parse(host))
