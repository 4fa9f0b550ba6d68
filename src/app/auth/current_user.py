"""The current user: quart-auth's cookie has the token of a session, and the session has the user.

`current_user` is loaded from the database once for each request, when it is first needed: by
`await current_user.is_authenticated`, by a route that needs a login, or by a template. When the session is deleted, the
browser is logged out at its next request.
"""

from collections.abc import Generator
from logging import WARNING
from typing import Any, cast

import quart_auth
from itsdangerous import BadData
from quart import Quart, current_app
from quart_auth import Action, AuthUser, QuartAuth, Unauthorized

from app.lib import logs
from app.lib.db import DatabaseUnavailable, db
from app.models import User, UserSession
from app.services import sessions

NOT_LOADED = "the user is not loaded yet: await current_user.is_authenticated"


class SessionAuth(QuartAuth):
    """quart-auth, with the token of a session as `auth_id`."""

    async def add_current_user(self) -> dict[str, "CurrentUser"]:
        """Load the user, and return it as `current_user` for templates."""
        user = cast(CurrentUser, self.load_user())
        await user.load()
        return {"current_user": user}

    def load_token(self, token: str, app: Quart | None = None) -> str | None:
        """Return the session token in a cookie. None for a forged cookie, and for one with other content."""
        try:
            session_token = super().load_token(token, app)
        except BadData:
            return None
        return session_token if isinstance(session_token, str) and session_token.isascii() else None


class IsAuthenticated:
    """The value of `current_user.is_authenticated`, which is awaited in a view and used directly in a template.

    Without `await` this raises RuntimeError until the user is loaded, instead of being true.
    """

    def __init__(self, user: "CurrentUser") -> None:
        self.user = user

    def __await__(self) -> Generator[Any, None, bool]:
        yield from self.user.load().__await__()
        return bool(self)

    def __bool__(self) -> bool:
        if not self.user.is_loaded:
            raise RuntimeError(NOT_LOADED)
        return self.user.session is not None


class CurrentUser(AuthUser):
    """The user of the session that the cookie names, or an anonymous client."""

    def __init__(self, auth_id: str | None, action: Action = Action.PASS) -> None:
        super().__init__(auth_id, action)
        self.session: UserSession | None = None
        self.lookup_failed = auth_id is not None  # until a lookup succeeds
        self.is_loaded = auth_id is None  # or the lookup has failed

    @property
    def is_authenticated(self) -> IsAuthenticated:  # type: ignore[override] # awaitable, like quart-auth's
        return IsAuthenticated(self)

    @property
    def user(self) -> User | None:
        """The loaded user. None without a session. Raises RuntimeError until the user is loaded."""
        if not self.is_loaded:
            raise RuntimeError(NOT_LOADED)
        return self.session.user if self.session else None

    @property
    def is_remembered(self) -> bool:
        return self.session is not None and self.session.remember

    def has_role(self, *names: str) -> bool:
        """Return whether the loaded user has one of these roles. Raises RuntimeError until the user is loaded."""
        return self.user is not None and any(role.name in names for role in self.user.roles)

    async def load(self) -> None:
        """Load the session, once. Raises DatabaseUnavailable; afterwards the client counts as logged out."""
        if self.is_loaded or self.auth_id is None:
            return
        self.is_loaded = True
        self.session = await db.read(sessions.find, token=self.auth_id)
        self.lookup_failed = False
        if self.session is not None and sessions.needs_touch(self.session):
            await touch(self.session)

    async def has_ended(self) -> bool:
        """Return whether the loaded session was deleted during this request. Raises DatabaseUnavailable."""
        return self.session is not None and await db.read(sessions.find, token=str(self.auth_id)) is None

    def skip_lookup(self) -> None:
        """Do not query the database again in this request."""
        self.is_loaded = True

    def __str__(self) -> str:
        return str(self.session.user) if self.session else ""

    def __repr__(self) -> str:
        return f"CurrentUser(id={self.session.user_id if self.session else None})"  # never the token


current_user = cast(CurrentUser, quart_auth.current_user)


async def require_user() -> User:
    """Return the logged-in user. Raises Unauthorized, which redirects to the login page."""
    return (await require_session()).user


async def require_session() -> UserSession:
    """Return the session of this browser with its user. Raises Unauthorized."""
    await current_user.load()
    if current_user.session is None:
        raise Unauthorized
    return current_user.session


async def touch(session: UserSession) -> None:
    """Extend a session. Of many simultaneous requests in this process, one does it."""
    in_flight: set[int] = current_app.extensions["touch_in_flight"]
    if session.id in in_flight:
        return
    in_flight.add(session.id)
    try:
        await db.write(sessions.touch, session)
    except DatabaseUnavailable as error:  # the page can be shown also if nothing can be written
        logs.record("database_unavailable", level=WARNING, reason=str(error), untouched=session.id)
    finally:
        in_flight.discard(session.id)


def init_app(app: Quart) -> None:
    app.extensions["touch_in_flight"] = set[int]()
    processors = app.template_context_processors[None]
    own = list(processors)
    auth = SessionAuth(app, user_class=CurrentUser)
    processors[:] = own  # quart-auth's context processor loads nothing, and Quart would run it in a thread
    app.context_processor(auth.add_current_user)
    app.add_template_test(CurrentUser.has_role, "in_role")
