"""The cookie of a session: start a session in this browser, and end it."""

import quart_auth
from quart import session as quart_session

from app.auth.client import current_client
from app.auth.current_user import CurrentUser, current_user
from app.auth.session_data import adopt_session_data
from app.lib.db import db
from app.services import sessions
from app.services.client import NewSession


def new_session(*, remember: bool, target: str | None = None) -> NewSession:
    """Return the session that a login in this request starts. `target` is the page that the browser opens next."""
    return NewSession(client=current_client(), remember=remember, replaces=current_user.auth_id, target=target)


async def login(token: str, *, remember: bool) -> None:
    """Send the browser the cookie of a new session, or the new token of a session that was reauthenticated."""
    quart_auth.login_user(CurrentUser(token), remember=remember)
    await adopt_session_data()


async def logout() -> None:
    """End the session of this browser, in the database and in the browser."""
    if (token := current_user.auth_id) is not None:
        await current_user.load()
        await db.write(sessions.log_out, token=token, user_id=user.id if (user := current_user.user) else None)
    forget_browser()


def forget_browser() -> None:
    """Delete the cookie of a session that has ended, and the data of its user in Quart's session."""
    quart_auth.logout_user()
    quart_session.clear()
