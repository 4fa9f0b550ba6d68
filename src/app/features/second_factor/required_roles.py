"""Users with a role of SECOND_FACTOR_REQUIRED_ROLES can open only the enrolment pages until they have one."""

from collections.abc import Mapping
from typing import Any

from quart import Quart, current_app, has_websocket_context, redirect, request, url_for, websocket
from quart.typing import ResponseReturnValue
from werkzeug.exceptions import Forbidden

from app.auth import access, current_user
from app.features.second_factor import factors
from app.lib.db import db
from app.lib.web.negotiation import wants_json
from app.services import roles

# The enrolment requires a fresh login and a confirmed e-mail address, so these pages stay open.
OPEN_BLUEPRINTS = {"second_factor", "reauthentication", "confirmation_links"}


async def require_second_factor() -> ResponseReturnValue | None:
    here = websocket if has_websocket_context() else request
    endpoint = here.endpoint
    if endpoint is None or here.blueprint in OPEN_BLUEPRINTS or access.is_public(current_app, endpoint):
        return None
    await current_user.load()
    user = current_user.user
    if user is None or not current_user.has_role(*current_app.config["SECOND_FACTOR_REQUIRED_ROLES"]):
        return None
    if await db.read(factors.find, user_id=user.id) is not None:
        return None
    if has_websocket_context() or wants_json():
        raise Forbidden
    return redirect(url_for("second_factor.show"), 303)


async def check(config: Mapping[str, Any]) -> list[str]:
    """Find required roles that do not exist, for example because their name is misspelt."""
    existing = {role.name for role in await db.read(roles.list_all)}
    return [
        f"SECOND_FACTOR_REQUIRED_ROLES has {name!r}, and there is no such role: see `quart --app run roles list`"
        for name in config["SECOND_FACTOR_REQUIRED_ROLES"]
        if name not in existing
    ]


def init_app(app: Quart) -> None:
    if app.config["SECOND_FACTOR_REQUIRED_ROLES"]:
        app.before_request(require_second_factor)
        app.before_websocket(require_second_factor)
