"""Access control of routes. Decorators stand under the route:

    @notes_bp.get("/notes")
    @roles_required("editor")
    async def index() -> ResponseReturnValue:

A route without `@public` needs a login.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import ParamSpec, TypeVar

from quart import Quart, current_app, has_websocket_context, redirect, request, url_for
from quart.typing import ResponseReturnValue
from werkzeug.exceptions import Forbidden
from werkzeug.exceptions import Unauthorized as HTTPUnauthorized
from werkzeug.urls import iri_to_uri

from app.auth.current_user import current_user, require_user
from app.auth.decorators import wraps
from app.auth.preserved_forms import preserve_input
from app.lib.asgi.csrf import SAFE_METHODS
from app.lib.web.negotiation import wants_json
from app.lib.web.request import current_connection
from app.lib.web.static_files import is_static
from app.services import sessions

P = ParamSpec("P")
T = TypeVar("T")
AnyView = TypeVar("AnyView", bound=Callable[..., object])
View = Callable[P, Awaitable[T]]
PageView = Callable[P, Awaitable[ResponseReturnValue]]


def public(view: AnyView) -> AnyView:
    """Let clients without a session use a route."""
    view.is_public = True  # type: ignore[attr-defined] # read by is_public
    return view


def is_public(app: Quart, endpoint: str) -> bool:
    """Return whether a route is public: by its decorator, or because it serves a static folder."""
    return is_static(app, endpoint) or getattr(app.view_functions[endpoint], "is_public", False)


def roles_required(*names: str) -> Callable[[View[P, T]], View[P, T]]:
    """Admit users who have all of these roles. Other users get 403, a client without a session the login page."""
    return _admit(names, lambda: all(current_user.has_role(name) for name in names))


def roles_accepted(*names: str) -> Callable[[View[P, T]], View[P, T]]:
    """Admit users who have one of these roles."""
    return _admit(names, lambda: current_user.has_role(*names))


def _admit(names: tuple[str, ...], is_admitted: Callable[[], bool]) -> Callable[[View[P, T]], View[P, T]]:
    if not names:
        raise ValueError("name a role: without one, every user would be admitted")

    def decorate(view: View[P, T]) -> View[P, T]:
        @wraps(view)
        async def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
            await require_user()
            if not is_admitted():
                raise Forbidden
            return await view(*args, **kwargs)

        return guarded

    return decorate


def fresh_login_required(view: PageView[P]) -> PageView[P]:
    """Require that the user has entered the password within SECURITY_FRESHNESS minutes, in this session.

    A form may be sent for twice as long. Otherwise the user reauthenticates at /verify and returns; @preserves_input
    keeps what was entered.
    """

    @wraps(view)
    async def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        await require_user()
        if has_fresh_login(twice=is_unsafe()):
            return await view(*args, **kwargs)
        return await redirect_to_reauthentication()

    return guarded


def is_unsafe() -> bool:
    """Return whether this is a request that may change something."""
    return not has_websocket_context() and request.method not in SAFE_METHODS


async def redirect_to_reauthentication() -> ResponseReturnValue:
    """Return a redirect to /verify. Raises Unauthorized for a websocket, or if the client wants JSON."""
    if has_websocket_context() or wants_json():
        raise HTTPUnauthorized
    if is_unsafe():
        await preserve_input()
    target = request.path if is_unsafe() else iri_to_uri(request.full_path.rstrip("?"))
    return redirect(url_for("reauthentication.new", next=target), 303)


def has_fresh_login(*, twice: bool) -> bool:
    minutes, session = current_app.config["SECURITY_FRESHNESS"] * (2 if twice else 1), current_user.session
    return session is not None and sessions.is_fresh(session, within=timedelta(minutes=minutes))


async def require_login() -> None:
    """Raise Unauthorized for a route that is not public."""
    here = current_connection()
    if here.url_rule is not None and not is_public(current_app, here.url_rule.endpoint):
        await require_user()


def init_app(app: Quart) -> None:
    app.before_request(require_login)
    app.before_websocket(require_login)
