"""Content negotiation: HTML or JSON."""

from quart import request

MAX_ACCEPT_LENGTH = 1000  # Werkzeug takes seconds to parse a hostile Accept header


def wants_json() -> bool:
    """Return whether to respond with JSON: below /api, or to a client that prefers it to HTML."""
    if request.path == "/api" or request.path.startswith("/api/"):
        return True
    if len(request.headers.get("Accept", "")) > MAX_ACCEPT_LENGTH:
        return False
    accepted = request.accept_mimetypes
    return accepted["application/json"] > accepted["text/html"]
