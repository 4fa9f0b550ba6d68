"""Every error as a page of ours, or as JSON: what happened, what to do next, a request id, nothing of the inside."""

from logging import ERROR

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

from app import events
from app.languages import gettext
from app.middleware.authentication import visitor
from app.middleware.error_words import ENDED, ENDED_KEPT, INVALID_LINK, Words, words_for
from app.middleware.forgery import SAFE_METHODS
from app.middleware.kept_forms import keep_typed
from app.models.core import DatabaseUnavailable
from app.services.accounts import UnknownUser
from app.services.hashing import Overloaded
from app.services.links import InvalidLink
from app.words import wait_in_words

LONGEST_ACCEPT = 1000  # characters
KEPT_HEADERS = ("Allow", "Retry-After", "Content-Range")


async def show_error(error: HTTPException, words: Words | None = None) -> Response:
    """Answer with the page of a status, or with its JSON."""
    status = error.code or 500
    message, advice = words or words_for(status)
    message, advice = gettext(message), gettext(advice, wait=wait_in_words(retry_after(error)))
    if has_websocket_context():
        response = Response("")
    elif wants_json():
        code = error.name.lower().replace(" ", "_")
        response = jsonify(error={"code": code, "message": f"{message}. {advice}"}, request_id=events.request_id.get())
    else:
        response = Response(await page_of(status, message, advice), content_type="text/html; charset=utf-8")
    response.status_code = status
    for name, value in error.get_headers():
        if name in KEPT_HEADERS:
            response.headers[name] = value
    return response


def retry_after(error: HTTPException) -> int | None:
    seconds = getattr(error, "retry_after", None)
    return seconds if isinstance(seconds, int) else None


async def page_of(status: int, message: str, advice: str) -> str:
    try:
        await visitor().load()
    except DatabaseUnavailable as error:
        log_unavailable(error)
    words = {"status": status, "message": message, "advice": advice}
    return await render_template("errors/error.html", **words, request_id=events.request_id.get())


async def show_login(error: Unauthorized) -> Response | WerkzeugResponse:
    """Ask for the log-in, and remember where the person was going and what they typed there."""
    events.record("log_in_needed")
    if has_websocket_context() or wants_json():
        return await show_error(error)
    if sends := request.method not in SAFE_METHODS:
        await flash(gettext(ENDED_KEPT if await keep_typed() else ENDED))
    here = request.path if sends else request.full_path.rstrip("?")
    can_be_opened = current_app.url_map.bind("").test(request.path, method="GET")
    target = iri_to_uri(here) if can_be_opened else None
    return redirect(url_for("sessions.new", next=target), 303)


async def show_gone(_error: UnknownUser) -> Response | WerkzeugResponse:
    """Ask for the log-in: the account was deleted while its owner asked for something."""
    return await show_login(Unauthorized())


async def show_unavailable(error: DatabaseUnavailable) -> Response:
    """Send 503, and log the reason."""
    log_unavailable(error)
    visitor().is_loaded = True  # the page of the error must not query the database again
    return await show_error(ServiceUnavailable(retry_after=error.retry_after))


async def show_crash(error: Exception) -> Response:
    """Answer 500, and keep the traceback in the log, under the number that the page shows."""
    events.record("crashed", level=ERROR, error=error)
    if current_app.extensions["debug"]:
        raise error
    return await show_error(InternalServerError())


async def show_overload(error: Overloaded) -> Response:
    """Send 503 at once: too many passwords wait to be hashed."""
    events.record("overloaded", level=ERROR, why=str(error))
    return await show_error(ServiceUnavailable(retry_after=error.retry_after))


async def show_invalid_link(_error: InvalidLink) -> Response:
    """Answer every link that does not work alike."""
    events.record("link_refused")
    return await show_error(NotFound(), INVALID_LINK)


def log_unavailable(error: DatabaseUnavailable) -> None:
    events.record("database_unavailable", level=ERROR, why=str(error))


def wants_json() -> bool:
    """Say whether a program asks: under /api, or one that prefers JSON to HTML."""
    if request.path == "/api" or request.path.startswith("/api/"):
        return True
    if len(request.headers.get("Accept", "")) > LONGEST_ACCEPT:  # Werkzeug would take seconds to read it
        return False
    accepted = request.accept_mimetypes
    return accepted["application/json"] > accepted["text/html"]


def init_app(app: Quart) -> None:
    app.extensions["debug"] = app.config["DEBUG"]  # Quart's own commands write FLASK_DEBUG over the setting
    app.register_error_handler(HTTPException, show_error)
    app.register_error_handler(Unauthorized, show_login)
    app.register_error_handler(UnknownUser, show_gone)
    app.register_error_handler(DatabaseUnavailable, show_unavailable)
    app.register_error_handler(Overloaded, show_overload)
    app.register_error_handler(InvalidLink, show_invalid_link)
    app.register_error_handler(Exception, show_crash)
