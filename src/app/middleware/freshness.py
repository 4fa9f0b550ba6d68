"""Pages for which the person must have shown their password lately, in this browser: @needs_recent_log_in().

Who has not is asked for it (/verify) and comes back; what they had typed is not lost.
"""

import functools
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import ParamSpec

from quart import current_app, redirect, request, session, url_for
from quart.typing import ResponseReturnValue
from werkzeug.exceptions import Unauthorized as Refused
from werkzeug.urls import iri_to_uri

from app.middleware.authentication import logged_in_user, visitor
from app.middleware.errors import wants_json
from app.services import sessions

P = ParamSpec("P")
View = Callable[P, Awaitable[ResponseReturnValue]]
KEPT = "kept_form"
LONGEST = 1000  # characters of a form that is kept: it travels in a cookie


def needs_recent_log_in(*keeps: str) -> Callable[[View[P]], View[P]]:
    """Open a page only for SECURITY_FRESHNESS minutes after a log-in, and take what it sends for twice as long.

    `keeps` are the fields of its form that are filled in again. Never name a password: they wait in a cookie.
    """

    def decorate(view: View[P]) -> View[P]:
        @functools.wraps(view)
        async def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
            user = await logged_in_user()
            sends = request.method not in ("GET", "HEAD")
            if is_recent(twice=sends):
                return await view(*args, **kwargs)
            if wants_json():
                raise Refused
            if sends:
                await keep_form(keeps, user_id=user.id)
            here = request.path if sends else iri_to_uri(request.full_path.rstrip("?"))
            return redirect(url_for("verifications.new", next=here), 303)

        return guarded

    return decorate


def is_recent(*, twice: bool) -> bool:
    """Say whether the person has shown their password lately enough."""
    minutes, log_in = current_app.config["SECURITY_FRESHNESS"] * (2 if twice else 1), visitor().log_in
    return log_in is not None and sessions.is_recent(log_in, within=timedelta(minutes=minutes))


async def keep_form(names: tuple[str, ...], *, user_id: int) -> None:
    """Keep what was typed until the page is opened again, by the same person."""
    typed = await request.form
    fields = {name: typed[name] for name in names if name in typed}
    if fields and len(json.dumps(fields)) <= LONGEST:
        session[KEPT] = {"user": user_id, "path": request.path, "fields": fields}


async def kept_form() -> dict[str, str]:
    """Return what this person typed on this page before we asked for the password."""
    kept = session.pop(KEPT) if KEPT in session else {}
    mine = {"user": (await logged_in_user()).id, "path": request.path}
    return kept["fields"] if mine.items() <= kept.items() else {}
