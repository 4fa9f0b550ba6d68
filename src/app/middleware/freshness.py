"""Pages for which the person must have shown their password lately, in this browser: @needs_recent_log_in.

Who has not is asked for it (/verify) and comes back; what they had typed is not lost.
"""

import functools
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import ParamSpec

from quart import current_app, redirect, request, session, url_for
from quart.typing import ResponseReturnValue
from werkzeug.exceptions import Unauthorized as Refused

from app.middleware.authentication import logged_in_user, visitor
from app.middleware.errors import wants_json
from app.services import sessions

P = ParamSpec("P")
View = Callable[P, Awaitable[ResponseReturnValue]]
KEPT = "kept_form"
LONGEST = 1000  # characters of a form that is kept: it travels in a cookie


def needs_recent_log_in(view: View[P]) -> View[P]:
    """Open a page only for SECURITY_FRESHNESS minutes after a log-in, and take what it sends for twice as long."""

    @functools.wraps(view)
    async def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        await logged_in_user()
        if is_recent(twice=request.method == "POST"):
            return await view(*args, **kwargs)
        if wants_json():
            raise Refused
        if request.method == "POST":
            await keep_form()
        return redirect(url_for("verifications.new", next=request.path), 303)

    return guarded


def is_recent(*, twice: bool) -> bool:
    """Say whether the person has shown their password lately enough."""
    minutes, log_in = current_app.config["SECURITY_FRESHNESS"] * (2 if twice else 1), visitor().log_in
    return log_in is not None and sessions.is_recent(log_in, within=timedelta(minutes=minutes))


async def keep_form() -> None:
    """Keep what was typed, but no password, until the page is opened again."""
    fields = {name: typed for name, typed in (await request.form).items() if "password" not in name}
    if fields and sum(map(len, [*fields, *fields.values()])) <= LONGEST:
        session[KEPT] = {"path": request.path, "fields": fields}


def kept_form() -> dict[str, str]:
    """Return what was typed on this page before we asked for the password."""
    kept = session.pop(KEPT, None) if KEPT in session else None
    return kept["fields"] if kept and kept["path"] == request.path else {}
