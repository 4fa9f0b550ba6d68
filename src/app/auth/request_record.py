"""The route and the user in the log line of a request."""

from typing import cast

from quart import Quart, Response

from app.auth.current_user import current_user
from app.lib.asgi.rejection import REJECTION
from app.lib.asgi.request_log import RECORD, RequestRecord
from app.lib.asgi.types import Scope
from app.lib.web.request import current_connection


async def record_route_and_user(response: Response | None = None) -> Response | None:
    """Add the endpoint, the route and the user to the record of the request or the websocket."""
    here = current_connection()
    scope = cast(Scope, here.scope)
    record, session = cast(RequestRecord, scope[RECORD]), current_user.session
    if here.url_rule and REJECTION not in scope:  # a rejected request has the route of another page
        record.endpoint, record.route = here.url_rule.endpoint, here.url_rule.rule
    record.user_id = session.user_id if session else None
    return response


def init_app(app: Quart) -> None:
    app.after_request(record_route_and_user)
    app.before_websocket(record_route_and_user)
