"""Security headers of every response, and `no-store` for every page."""

from quart import Quart, Response

from app.lib.asgi.types import App, Message, Receive, Scope, Send
from app.lib.settings.base_url import BaseUrl
from app.lib.web.static_files import is_static_file

HEADERS = {
    # `data:` for the icons that Pico draws into its fields.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Features that the pages do not use, denied to injected scripts too.
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
# Without includeSubDomains: the subdomains may belong to other sites.
HSTS = {"Strict-Transport-Security": "max-age=31536000"}


class SecurityHeadersMiddleware:
    """Add the headers to every response that does not set its own value: a page that needs more sets it."""

    def __init__(self, app: App, base_url: BaseUrl) -> None:
        self.app = app
        headers = HEADERS | (HSTS if base_url.is_secure else {})
        self.headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                given = list(message.get("headers", ()))
                names = {name.lower() for name, _ in given}
                message = {**message, "headers": [*given, *(pair for pair in self.headers if pair[0] not in names)]}
            await send(message)

        await self.app(scope, receive, send_with_headers)


async def forbid_caching(response: Response) -> Response:
    """Keep pages out of every cache. A view may set its own Cache-Control."""
    if not is_static_file(response):
        response.headers.setdefault("Cache-Control", "no-store")
        response.vary.update(["Cookie", "Accept-Language"])  # for a view that lets shared caches keep its response
    return response


def init_app(app: Quart) -> None:
    app.after_request(forbid_caching)
