"""What every answer tells the browser: load and frame nothing foreign, guess no types, keep no private page."""

from quart import Quart, Response, request

HEADERS = {
    # data: for the icons that Pico draws into its fields.
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


async def add_headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.endpoint != "static" or response.status_code not in (200, 206, 304):
        response.headers.setdefault("Cache-Control", "no-store")
        response.vary.add("Cookie")
    return response


def init_app(app: Quart) -> None:
    app.after_request(add_headers)
