"""The number of a request, which a person sees on an error page and the log has."""

import secrets

from quart import g


def request_id() -> str:
    """Return the number of this request."""
    if "request_id" not in g:
        g.request_id = secrets.token_hex(8)
    name: str = g.request_id
    return name
