"""Who is asking: quart-auth's cookie names a row of ours, and the row names the user.

`current_user` asks the database once per request, when first asked: by `await current_user.is_authenticated`, a route
that needs a log-in, or any template. Delete the row, and that browser is out at its next request.
"""

from collections.abc import Generator
from typing import Any, cast

import quart_auth
from itsdangerous import BadData
from quart import Quart, has_websocket_context, request, websocket
from quart_auth import Action, AuthUser, QuartAuth, Unauthorized

from app import events
from app.middleware.client_address import ip_address
from app.middleware.last_seen import lifetime, touch
from app.middleware.public_endpoints import PUBLIC_ENDPOINTS
from app.models import User, UserSession, db
from app.services import sessions
from app.services.activity import Origin
from app.services.sessions import NewLogIn


class LogInCookie(QuartAuth):
    async def add_current_user(self) -> dict[str, "CurrentUser"]:
        """Load the user, and return it for templates as `current_user`."""
        user = cast(CurrentUser, self.load_user())
        await user.load()
        return {"current_user": user}

    def load_token(self, token: str, app: Quart | None = None) -> str | None:
        """Return the secret in a cookie; None also for what our key signed and we did not write."""
        try:
            secret = super().load_token(token, app)
        except BadData:
            return None
        return secret if isinstance(secret, str) and secret.isascii() else None


class IsAuthenticated:
    """The answer of `await current_user.is_authenticated`; in a template, where it is known already, without `await`.

    Who forgets the `await` elsewhere, before it is known, gets a RuntimeError and not a yes.
    """

    def __init__(self, who: "CurrentUser") -> None:
        self.who = who

    def __await__(self) -> Generator[Any, None, bool]:
        yield from self.who.load().__await__()
        return bool(self)

    def __bool__(self) -> bool:
        if not self.who.is_loaded:
            raise RuntimeError("nobody has asked the database yet: await current_user.is_authenticated")
        return self.who.log_in is not None


class CurrentUser(AuthUser):
    """Whoever sends this request: a stranger, or the user of the log-in that their cookie names."""

    def __init__(self, auth_id: str | None, action: Action = Action.PASS) -> None:
        super().__init__(auth_id, action)
        self.log_in: UserSession | None = None
        self.is_unknown = auth_id is not None
        self.is_loaded = auth_id is None  # or the lookup has failed

    @property
    def is_authenticated(self) -> IsAuthenticated:  # type: ignore[override] # it can be awaited, as theirs
        return IsAuthenticated(self)

    @property
    def user(self) -> User | None:
        """The user, once this was asked about; None for a stranger."""
        return self.log_in.user if self.log_in else None

    @property
    def is_remembered(self) -> bool:
        return self.log_in is not None and self.log_in.remember

    def has_role(self, *names: str) -> bool:
        """Say whether the user has one of these roles, once it is known who it is."""
        return self.user is not None and any(role.name in names for role in self.user.roles)

    async def load(self) -> None:
        """Ask the database, once. When it does not answer, the visitor is a stranger for the rest of this request."""
        if self.is_loaded or self.auth_id is None:
            return
        self.is_loaded = True
        self.log_in = await db.read(sessions.find, secret=self.auth_id)
        self.is_unknown = False
        if self.log_in is not None and sessions.is_due(self.log_in):
            await touch(self.log_in)

    def __str__(self) -> str:
        return str(self.user) if self.user else ""

    def __repr__(self) -> str:
        return f"CurrentUser(id={self.user.id if self.user else None})"  # never the secret


def visitor() -> CurrentUser:
    """Return quart-auth's current_user as what we made it."""
    return cast(CurrentUser, quart_auth.current_user)


async def logged_in_user() -> User:
    """Return who is logged in. Raises Unauthorized, which shows the log-in page."""
    await visitor().load()
    if (user := visitor().user) is None:
        raise Unauthorized
    return user


def start_log_in(secret: str, *, remember: bool) -> None:
    """Give the browser the cookie of a log-in that was just started."""
    quart_auth.login_user(CurrentUser(secret), remember=remember)


async def end_log_in() -> None:
    """End the log-in of this browser, here and in the database."""
    if (secret := visitor().auth_id) is not None:
        await visitor().load()
        await db.write(sessions.end, secret=secret)
        events.record("logged_out", user=user.id if (user := visitor().user) else None)
    quart_auth.logout_user()


def new_log_in(*, remember: bool, known_browser: bool = True) -> NewLogIn:
    """Describe the session that this request may start."""
    return NewLogIn(
        origin=origin(),
        lifetime=lifetime(remember=remember),
        remember=remember,
        former_secret=visitor().auth_id,
        known_browser=known_browser,
    )


def origin() -> Origin:
    """Say where this request comes from."""
    return Origin(ip_address(), request.user_agent.string)


async def require_log_in() -> None:
    here = websocket if has_websocket_context() else request
    if here.url_rule is not None and here.endpoint not in PUBLIC_ENDPOINTS:
        await logged_in_user()


def init_app(app: Quart) -> None:
    processors = app.template_context_processors[None]
    own = list(processors)
    cookie = LogInCookie(app, user_class=CurrentUser)
    processors[:] = own  # quart-auth adds one that loads nothing, and Quart would run it in a thread for each page
    app.context_processor(cookie.add_current_user)
    app.before_request(require_log_in)
    app.before_websocket(require_log_in)
    app.add_template_test(CurrentUser.has_role, "in_role")
