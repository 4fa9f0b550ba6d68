"""Error pages, in the layout of the site or as JSON: what happened, what to do next, and the request id."""

from logging import ERROR
from typing import cast

from quart import (
    Quart,
    Response,
    current_app,
    flash,
    has_websocket_context,
    jsonify,
    redirect,
    render_template,
    request,
    url_for,
)
from quart_auth import Unauthorized
from werkzeug.exceptions import HTTPException, InternalServerError, NotFound, ServiceUnavailable
from werkzeug.urls import iri_to_uri
from werkzeug.wrappers import Response as WerkzeugResponse

from app.auth.current_user import current_user
from app.auth.error_messages import (
    INVALID_TOKEN,
    SESSION_EXPIRED,
    SESSION_EXPIRED_INPUT_PRESERVED,
    TOO_LARGE,
    Message,
    message_for,
)
from app.auth.preserved_forms import can_be_opened, preserve_input
from app.lib import logs
from app.lib.asgi.csrf import SAFE_METHODS
from app.lib.asgi.rejection import REJECTION, Rejection
from app.lib.asgi.types import Scope
from app.lib.db import DatabaseUnavailable
from app.lib.i18n.catalogs import gettext
from app.lib.i18n.formatting import format_duration, format_size
from app.lib.passwords.executor import Overloaded
from app.lib.web.negotiation import wants_json
from app.services.tokens import InvalidToken
from app.services.users import UnknownUser

KEPT_HEADERS = ("Allow", "Retry-After", "Content-Range")


async def show_error(error: HTTPException, message: Message | None = None) -> Response:
    """Return the page of an error, or its JSON."""
    status = error.code or 500
    if limit := max_bytes():
        message = TOO_LARGE
    title, advice = message or message_for(status)
    facts = {"wait": format_duration(retry_after(error)), "limit": format_size(limit)}
    title, advice = gettext(title), gettext(advice, **facts)
    if has_websocket_context():
        response = Response("")
    elif wants_json():
        code = error.name.lower().replace(" ", "_")
        response = jsonify(error={"code": code, "message": f"{title}. {advice}"}, request_id=logs.request_id.get())
    else:
        response = Response(await render_error(status, title, advice), content_type="text/html; charset=utf-8")
    response.status_code = status
    for name, value in error.get_headers():
        if name in KEPT_HEADERS:
            response.headers[name] = value
    return response


def retry_after(error: HTTPException) -> int | None:
    seconds = getattr(error, "retry_after", None)
    return seconds if isinstance(seconds, int) else None


def max_bytes() -> int:
    """Return how large the body of this request may be. 0 unless it was rejected for its size."""
    rejection: Rejection | None = None if has_websocket_context() else cast(Scope, request.scope).get(REJECTION)
    return rejection.max_bytes if rejection else 0


async def render_error(status: int, title: str, advice: str) -> str:
    try:
        await current_user.load()
    except DatabaseUnavailable as error:
        log_unavailable(error)
    text = {"status": status, "title": title, "advice": advice}
    return await render_template("errors/error.html", **text, request_id=logs.request_id.get())


async def show_login(error: Unauthorized) -> Response | WerkzeugResponse:
    """Redirect to the login page. It returns to this URL afterwards, with what the user has entered."""
    logs.record("login_required")
    if has_websocket_context() or wants_json():
        return await show_error(error)
    if is_unsafe := request.method not in SAFE_METHODS:
        await flash(gettext(SESSION_EXPIRED_INPUT_PRESERVED if await preserve_input() else SESSION_EXPIRED))
    here = request.path if is_unsafe else request.full_path.rstrip("?")
    return redirect(url_for("login.new", next=iri_to_uri(here) if can_be_opened(request.path) else None), 303)


async def show_login_for_deleted(error: UnknownUser) -> Response | WerkzeugResponse:
    """Redirect to the login page if the account was deleted during the request. Otherwise respond with 500."""
    if await current_user.has_ended():
        return await show_login(Unauthorized())
    return await show_unhandled(error)


async def show_unavailable(error: DatabaseUnavailable) -> Response:
    """Respond with 503, and log the reason."""
    log_unavailable(error)
    current_user.skip_lookup()
    return await show_error(ServiceUnavailable(retry_after=error.retry_after))


async def show_unhandled(error: Exception) -> Response:
    """Respond with 500, and log the traceback with the request id that the page shows."""
    logs.record("unhandled_error", level=ERROR, error=error)
    if current_app.extensions["debug"]:
        raise error
    return await show_error(InternalServerError())


async def show_overload(error: Overloaded) -> Response:
    """Respond with 503 at once: too many passwords wait to be hashed."""
    logs.record("overloaded", level=ERROR, reason=str(error))
    return await show_error(ServiceUnavailable(retry_after=error.retry_after))


async def show_invalid_token(_error: InvalidToken) -> Response:
    """Respond in the same way to every token that is not valid."""
    logs.record("invalid_token")
    return await show_error(NotFound(), INVALID_TOKEN)


def log_unavailable(error: DatabaseUnavailable) -> None:
    logs.record("database_unavailable", level=ERROR, reason=str(error))


def init_app(app: Quart) -> None:
    app.extensions["debug"] = app.config["DEBUG"]  # Quart's commands replace the setting by FLASK_DEBUG
    app.register_error_handler(HTTPException, show_error)
    app.register_error_handler(Unauthorized, show_login)
    app.register_error_handler(UnknownUser, show_login_for_deleted)
    app.register_error_handler(DatabaseUnavailable, show_unavailable)
    app.register_error_handler(Overloaded, show_overload)
    app.register_error_handler(InvalidToken, show_invalid_token)
    app.register_error_handler(Exception, show_unhandled)
