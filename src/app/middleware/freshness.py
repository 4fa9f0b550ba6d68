"""Pages for which the person must have shown their password lately, in this browser: @needs_recent_log_in().

Who has not is asked for it (/verify) and comes back; what they had typed is not lost (kept_forms.py).
"""

import functools
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import ParamSpec

from quart import current_app, redirect, request, url_for
from quart.typing import ResponseReturnValue
from werkzeug.exceptions import Unauthorized as Refused
from werkzeug.urls import iri_to_uri

from app.middleware.authentication import logged_in_user, visitor
from app.middleware.errors import wants_json
from app.middleware.kept_forms import keep_typed
from app.services import sessions

P = ParamSpec("P")
View = Callable[P, Awaitable[ResponseReturnValue]]


def needs_recent_log_in() -> Callable[[View[P]], View[P]]:
    """Open a page only for SECURITY_FRESHNESS minutes after a log-in, and take what it sends for twice as long."""

    def decorate(view: View[P]) -> View[P]:
        @functools.wraps(view)
        async def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
            await logged_in_user()
            sends = request.method not in ("GET", "HEAD")
            if is_recent(twice=sends):
                return await view(*args, **kwargs)
            if wants_json():
                raise Refused
            if sends:
                await keep_typed()
            here = request.path if sends else iri_to_uri(request.full_path.rstrip("?"))
            return redirect(url_for("verifications.new", next=here), 303)

        return guarded

    return decorate


def is_recent(*, twice: bool) -> bool:
    """Say whether the person has shown their password lately enough."""
    minutes, log_in = current_app.config["SECURITY_FRESHNESS"] * (2 if twice else 1), visitor().log_in
    return log_in is not None and sessions.is_recent(log_in, within=timedelta(minutes=minutes))
