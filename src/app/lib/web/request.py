"""Requests: the current one, JSON bodies that cannot be parsed, large ids in URLs, and the pages of a list."""

from typing import Any

from quart import Quart, Request, Websocket, has_websocket_context, request, websocket
from werkzeug.routing import IntegerConverter, Map

MAX_ID = 2**63 - 1  # BIGINT
MAX_PAGE_NUMBER = 10_000


class JsonRequest(Request):
    """Respond with 400 also to JSON that is nested too deeply or is not UTF-8."""

    async def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:  # noqa: FBT001, FBT002 # Quart's signature
        try:
            return await super().get_json(force, silent, cache)
        except (UnicodeDecodeError, RecursionError) as error:
            return None if silent else self.on_json_loading_failed(error)


class IdConverter(IntegerConverter):
    """Match `<int:id>` in a route only up to the largest id, so that a larger number is a 404 and no database error."""

    def __init__(self, map: Map, *, max: int = MAX_ID, **options: Any) -> None:  # noqa: A002 # Werkzeug's names
        super().__init__(map, max=max, **options)


def current_connection() -> Request | Websocket:
    """Return the request or the websocket that is being handled."""
    return websocket if has_websocket_context() else request


def current_page_number() -> int:
    """Return the page of a list that the URL names by `?page=2`, otherwise 1."""
    number = request.args.get("page", 1, type=int)
    return number if 1 <= number <= MAX_PAGE_NUMBER else 1


def init_app(app: Quart) -> None:
    app.request_class = JsonRequest
    app.url_map.converters["int"] = IdConverter
