"""Protection against cross-site request forgery without tokens, so that no form expires in an open tab.

Browsers send the origin of a request in headers that no page can set. The rule is that of Go 1.25, Rails 8.2 and
ASP.NET Core 11: https://words.filippo.io/csrf/. Declare an exception at the route:

    @partners_bp.post("/partners/callback")
    @public
    @cross_origin_allowed
    async def callback() -> ResponseReturnValue:
"""

from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

from quart import Quart

from app.lib.asgi.rejection import Middleware
from app.lib.asgi.types import App, Receive, Scope, Send, header_values, view_of
from app.lib.settings.base_url import Authority, BaseUrl

View = TypeVar("View", bound=Callable[..., object])

SAFE_METHODS = {"GET", "HEAD", "OPTIONS", "TRACE"}  # RFC 9110, 9.2.1


def cross_origin_allowed(view: View) -> View:
    """Accept unsafe requests to this view from pages of other sites. It must not rely on the session cookie."""
    view.is_cross_origin_allowed = True  # type: ignore[attr-defined] # read by CrossOriginProtection
    return view


class CrossOriginProtection(Middleware):
    """Respond with 403 to an unsafe request that a page of another origin made a browser send.

    A request with neither Sec-Fetch-Site nor Origin does not come from a browser, and passes.
    """

    def __init__(self, app: App, base_url: BaseUrl, *, site: Quart) -> None:
        super().__init__(app, base_url)
        self.site = site

    async def check(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_safe = scope["type"] == "http" and scope["method"] in SAFE_METHODS
        if is_safe or self.is_same_origin(scope) or self.is_allowed(scope):
            await self.app(scope, receive, send)
        else:
            await self.reject(scope, receive, send, 403, reason="the request comes from another origin")

    def is_same_origin(self, scope: Scope) -> bool:
        if sites := header_values(scope, b"sec-fetch-site"):
            return sites in (["same-origin"], ["none"])
        if origins := header_values(scope, b"origin"):
            return len(origins) == 1 and self.is_own_origin(origins[0], header_values(scope, b"host")[0])
        return True

    def is_own_origin(self, origin: str, host: str) -> bool:
        try:
            parts = urlsplit(origin)
            authority = Authority.parse(parts.netloc)
        except ValueError:  # `null`, or not a URL
            return False
        return parts.scheme == self.base_url.scheme and self.base_url.same_host(authority, Authority.parse(host))

    def is_allowed(self, scope: Scope) -> bool:
        return scope["type"] == "http" and getattr(view_of(self.site, scope), "is_cross_origin_allowed", False)
