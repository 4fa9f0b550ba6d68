"""Rate limits of routes, and the response when a limit is exceeded.

    @notes_bp.post("/notes/share")
    @rate_limited("EMAILS_PER_IP")
    async def share() -> ResponseReturnValue:

The setting RATE_LIMIT_EMAILS_PER_IP declares the rate. Services count the limits of accounts themselves; login and
registration count that of the IP address too, in the same transaction.
"""

import hmac
from collections.abc import Awaitable, Callable
from logging import WARNING
from typing import ParamSpec, TypeVar

from quart import Quart, Response, current_app
from werkzeug.exceptions import TooManyRequests

from app.auth.client import network
from app.auth.decorators import wraps
from app.auth.error_pages import show_error
from app.lib import logs
from app.lib.db import db
from app.services import rate_limits
from app.services.rate_limits import RateLimitExceeded

P = ParamSpec("P")
T = TypeVar("T")
View = Callable[P, Awaitable[T]]


def rate_limited(name: str) -> Callable[[View[P, T]], View[P, T]]:
    """Count each request against a limit of the client's IP address. Responds with 429 when it is exceeded."""

    def decorate(view: View[P, T]) -> View[P, T]:
        @wraps(view)
        async def counted(*args: P.args, **kwargs: P.kwargs) -> T:
            await db.write(rate_limits.hit, [rate_limits.limit(name, network())])
            return await view(*args, **kwargs)

        return counted

    return decorate


async def show_rate_limit_exceeded(error: RateLimitExceeded) -> Response:
    """Respond with 429 and Retry-After."""
    key = str(current_app.config["SECRET_KEY"]).encode()
    client = hmac.digest(key, network().encode(), "sha256").hex()[:8]  # distinguishes clients without naming them
    logs.record("rate_limited", level=WARNING, limit=error.name, client=client, retry_after=error.retry_after)
    return await show_error(TooManyRequests(retry_after=error.retry_after))


def init_app(app: Quart) -> None:
    app.register_error_handler(RateLimitExceeded, show_rate_limit_exceeded)
