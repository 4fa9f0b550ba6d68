"""What somebody typed, kept until they have logged in or shown their password: @keeps_typed("email") under a view.

It waits in Quart's session cookie, which anybody with the browser can read. Whose it is, the page itself says, in a
hidden field: when a log-in has ended, nobody else knows, and the next to log in may be another person.
"""

import functools
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec

from quart import Quart, current_app, flash, redirect, request, session
from quart.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from app.languages import gettext
from app.middleware.authentication import logged_in_user, visitor
from app.middleware.signing import signer
from app.models import User

P = ParamSpec("P")
View = Callable[P, Awaitable[ResponseReturnValue]]
KEPT = "kept_form"
LONGEST = 1000  # characters of a form that is kept: it travels in a cookie
OWNER = re.compile(r"[\w-]{43}", re.ASCII)


def keeps_typed(*names: str) -> Callable[[View[P]], View[P]]:
    """Keep these fields of a view's form when it cannot be taken yet. Never name a password: they wait in a cookie.

    The form has {{ macros.owner() }} in it, and the view that shows it asks for kept_form(). What was shown to somebody
    else, who was logged in before, is never taken; without names that is all.
    """

    def decorate(view: View[P]) -> View[P]:
        @functools.wraps(view)
        async def taking(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
            _take(request.path)  # a newer one has come
            if await _is_of_somebody_else():
                await flash(gettext("That page was for somebody else, who was logged in here. Nothing was changed."))
                return redirect(request.path, 303)
            return await view(*args, **kwargs)

        taking.kept_fields = names  # type: ignore[attr-defined] # read by keep_typed
        return taking

    return decorate


async def keep_typed() -> bool:
    """Keep what this request's form says, if its view is marked so; say whether anything was kept."""
    names = getattr(current_app.view_functions.get(request.endpoint or ""), "kept_fields", ())
    if not names:
        return False
    try:
        typed = await request.form
    except HTTPException:  # nothing that can be read: the log-in comes first all the same
        return False
    fields, owner = {name: typed[name] for name in names if name in typed}, typed.get("owner", "")
    kept = {"owner": owner, "path": request.path, "fields": fields}
    if not fields or not OWNER.fullmatch(owner) or len(json.dumps(kept)) > LONGEST:
        return False
    session[KEPT] = kept
    return True


async def kept_form() -> dict[str, str]:
    """Return what this person typed on this page before we asked for the password: once, and to nobody else."""
    user, kept = await logged_in_user(), _take(request.path)
    fields: dict[str, str] = kept.get("fields", {})
    return fields if _is_owner(user, kept.get("owner", "")) else {}


def page_owner() -> str:
    """Return what names the person whose page this is, and says nothing of them."""
    return signer("owner").get_signature(str(user.id)).decode() if (user := visitor().user) else ""


async def _is_of_somebody_else() -> bool:
    """Say whether the form was shown to another person than the one who is logged in now, in another tab."""
    owner = (await request.form).get("owner", "")
    return bool(owner) and not _is_owner(await logged_in_user(), owner)


def _is_owner(user: User, owner: str) -> bool:
    return signer("owner").verify_signature(str(user.id), owner)


def _take(path: str) -> dict[str, Any]:
    """Take out of the cookie what was kept of a page."""
    return session.pop(KEPT) if session.get(KEPT, {}).get("path") == path else {}


def init_app(app: Quart) -> None:
    app.add_template_global(page_owner)
