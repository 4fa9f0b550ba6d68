"""Preserve what the user has entered while they log in or reauthenticate: @preserves_input("email") under a route.

The input is in Quart's session cookie, which any user of the browser can read. The form has a signed owner id in
a hidden field, because after a session expires the site cannot otherwise identify the user.
"""

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec

from quart import Quart, current_app, flash, redirect, request, session
from quart.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import HTTPException

from app.auth.current_user import current_user, require_user
from app.auth.decorators import wraps
from app.lib.i18n.catalogs import gettext as _
from app.lib.web.signing import signer
from app.models import User

P = ParamSpec("P")
View = Callable[P, Awaitable[ResponseReturnValue]]
PRESERVED = "preserved_form"  # key in the session cookie
MAX_LENGTH = 1000  # characters of a preserved form: browsers limit a cookie to 4 KB
OWNER = re.compile(r"[\w-]{43}", re.ASCII)


def preserves_input(*names: str) -> Callable[[View[P]], View[P]]:
    """Preserve these fields of a form that is sent without a (fresh) login. Never name a password.

    The form contains {{ macros.owner() }}, and the view that shows it uses restored_input(). A form that was shown to
    another user, who was logged in before, is refused. Without names, only that is checked.
    """

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        async def checked(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
            _pop(request.path)  # this request has newer input
            if await belongs_to_another_user(await require_user()):
                await flash(_("This page belonged to another user who was logged in here. Nothing was changed."))
                return redirect(request.path if can_be_opened(request.path) else "/", 303)
            return await view(*args, **kwargs)

        checked.preserved_fields = names  # type: ignore[attr-defined] # read by preserve_input
        return checked

    return decorate


def can_be_opened(path: str) -> bool:
    """Return whether a path has a page."""
    return bool(current_app.url_map.bind("").test(path, method="GET"))


async def preserve_input() -> bool:
    """Preserve the form of this request if its view is decorated. Returns whether anything was preserved."""
    names = getattr(current_app.view_functions.get(request.endpoint or ""), "preserved_fields", ())
    if not names:
        return False
    try:
        form = await request.form
    except HTTPException:  # it cannot be parsed: redirect to the login all the same
        return False
    fields, owner = {name: form[name] for name in names if name in form}, form.get("owner", "")
    preserved = {"owner": owner, "path": request.path, "fields": fields}
    if not fields or not OWNER.fullmatch(owner) or len(json.dumps(preserved)) > MAX_LENGTH:
        return False
    session[PRESERVED] = preserved
    return True


async def restored_input() -> dict[str, str]:
    """Return what this user has entered on this page before the login; only once, and to no other user."""
    user, preserved = await require_user(), _pop(request.path)
    fields: dict[str, str] = preserved.get("fields", {})
    return fields if is_owner(user, preserved.get("owner", "")) else {}


async def restored_form() -> MultiDict[str, str] | None:
    """Return what `restored_input` returns, for a form whose fields are not all texts; None without any input."""
    return MultiDict(restored) if (restored := await restored_input()) else None


def form_owner() -> str:
    """Return the signed owner id for a form. It does not reveal the id of the user."""
    return signer("owner").get_signature(str(user.id)).decode() if (user := current_user.user) else ""


async def belongs_to_another_user(user: User) -> bool:
    """Return whether the form of this request was shown to another user."""
    owner = (await request.form).get("owner", "")
    return bool(owner) and not is_owner(user, owner)


def is_owner(user: User, owner: str) -> bool:
    return signer("owner").verify_signature(str(user.id), owner)


def _pop(path: str) -> dict[str, Any]:
    """Remove and return what was preserved for a page."""
    return session.pop(PRESERVED) if session.get(PRESERVED, {}).get("path") == path else {}


def init_app(app: Quart) -> None:
    app.add_template_global(form_owner)
