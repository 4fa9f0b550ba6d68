"""Quart's `session`: what it has belongs to one user. It is cleared at logout, and when another user logs in.

Without this the next user of a shared browser would see, for example, the former user's shopping cart. The data is in
a cookie, signed and readable, with the owner id of the user (auth/preserved_forms.py), which does not reveal the user.
"""

from quart import Quart, Response, session

from app.auth.current_user import current_user
from app.auth.preserved_forms import form_owner, is_owner

OWNER = "owner"  # key in Quart's session


async def adopt_session_data() -> None:
    """Give the data of this browser to the user who has just logged in, or clear it if it is that of another user.

    Data without an owner was stored before the login, by an anonymous client, which may now be this user.
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
    await current_user.load()
    if set(session) - {OWNER}:
        session[OWNER] = form_owner() or session.get(OWNER)
    else:
        session.pop(OWNER, None)
    return response


def init_app(app: Quart) -> None:
    app.after_request(set_owner)
