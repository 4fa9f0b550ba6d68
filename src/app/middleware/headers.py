"""What every answer tells the browser: load and frame nothing foreign, guess no types, keep no private page."""

from quart import Quart, Response

from app.base_url import BaseUrl
from app.middleware.asgi import App, Message, Receive, Scope, Send
from app.middleware.static_files import is_static_file

HEADERS = {
    # data: for the icons that Pico draws into its fields.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # What our pages do not use, no script that gets into one may use either.
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
# Of this host alone: whether its subdomains speak https is not for us to promise.
HSTS = {"Strict-Transport-Security": "max-age=31536000"}


class SecurityHeaders:
    """Add them to every answer that does not set its own: a page that needs more says so itself."""

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
    """Let nobody keep what depends on who asks."""
    if not is_static_file(response):
        response.headers.setdefault("Cache-Control", "no-store")
        response.vary.update(["Cookie", "Accept-Language"])  # a view may let shared caches keep its answer
    return response


def init_app(app: Quart) -> None:
    app.after_request(forbid_caching)
