"""Quart's `session` belongs to one user. It is cleared at logout, and when another user logs in.

Otherwise the next user of a shared browser would see, for example, the shopping cart of the former user. The cookie
contains the owner id of auth/preserved_forms.py, which does not reveal the user.
"""

from quart import Quart, Response, session

from app.auth.current_user import current_user
from app.auth.error_pages import log_unavailable
from app.auth.preserved_forms import form_owner, is_owner
from app.lib.db import DatabaseUnavailable

OWNER = "owner"  # key in Quart's session
UNKNOWN = "unknown"  # its value if the database was unavailable: the next login clears the data


async def adopt_session_data() -> None:
    """Give the data of this browser to the new user, or clear it if it belongs to another user.

    Data without an owner was stored before the login. It belongs to the user who logs in next.
    """
    if not session:
        return
    await current_user.load()
    owner = session.get(OWNER)
    if owner is not None and not (current_user.user and is_owner(current_user.user, owner)):
        session.clear()
    elif current_user.user:
        session[OWNER] = form_owner()


async def set_owner(response: Response) -> Response:
    """Store the owner with data that a logged-in user has changed."""
    if not session.modified or current_user.auth_id is None:
        return response
    try:
        await current_user.load()
    except DatabaseUnavailable as error:
        log_unavailable(error)
    if not set(session) - {OWNER}:
        session.clear()
    elif current_user.lookup_failed:
        session.setdefault(OWNER, UNKNOWN)
    elif owner := form_owner():
        session[OWNER] = owner
    return response


def init_app(app: Quart) -> None:
    app.after_request(set_owner)
