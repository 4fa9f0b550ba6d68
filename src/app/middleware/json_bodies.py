"""JSON that is none, nested without end, or not in UTF-8: 400, as for any other that cannot be read."""

from typing import Any

from quart import Quart, Request


class JsonRequest(Request):
    async def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:  # noqa: FBT001, FBT002 # Quart's signature
        try:
            return await super().get_json(force, silent, cache)
        except (UnicodeDecodeError, RecursionError) as error:
            return None if silent else self.on_json_loading_failed(error)


def init_app(app: Quart) -> None:
    app.request_class = JsonRequest
