"""A login that needs another step after the password. A cookie identifies it, and gives no access."""

from datetime import timedelta

from quart import current_app, redirect, request, url_for
from werkzeug.wrappers import Response

from app.services.extension_points import PendingLogin

LIFETIME = timedelta(minutes=5)


def continue_login(pending: PendingLogin) -> Response:
    """Redirect to the next step of a login."""
    response = redirect(url_for(pending.endpoint), 303)
    safe = {"secure": current_app.config["SESSION_COOKIE_SECURE"], "httponly": True, "samesite": "Lax"}
    response.set_cookie(_cookie_name(), pending.token, max_age=LIFETIME, path="/", **safe)
    return response


def pending_token() -> str | None:
    """Return the token of the login that this browser has begun."""
    return request.cookies.get(_cookie_name())


def forget_pending_login(response: Response) -> Response:
    response.delete_cookie(_cookie_name(), path="/", secure=current_app.config["SESSION_COOKIE_SECURE"])
    return response


def _cookie_name() -> str:
    return f"{current_app.config['COOKIE_PREFIX']}login"
