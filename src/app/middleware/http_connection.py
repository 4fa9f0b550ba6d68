"""How Quart takes a request from the server and gives the answer back.

Quart starts three tasks for each request. BodyGuard hands over the body in one piece, so there is nothing to wait for:
here a request is answered in the task that the server has started for it.
"""

import asyncio
from types import TracebackType
from typing import Any, cast

from quart import Quart, Request, Response
from quart.asgi import ASGIHTTPConnection
from quart.debug import traceback_response
from quart.utils import encode_headers
from quart.wrappers.response import DataBody

from app.middleware.asgi import Receive

PATIENCE = 0.1  # seconds, after which we look whether the client is still there


class HTTPConnection(ASGIHTTPConnection):
    async def __call__(self, receive: Any, send: Any) -> None:
        request = self._create_request_from_scope(send)
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        request.body.set_result(message.get("body", b""))
        async with WhileClientIsThere(receive):
            await self.handle_request(request, send)

    async def handle_request(self, request: Request, send: Any) -> None:
        try:
            response: Any = await self.app.handle_request(request)
        except Exception as error:
            if not (self.app.debug or self.app.testing):
                raise
            response = await traceback_response(error)
        seconds = getattr(response, "timeout", ...)
        try:
            async with asyncio.timeout(self.app.config["RESPONSE_TIMEOUT"] if seconds is ... else seconds):
                await self._send_response(send, response)
        except TimeoutError:
            pass  # the client takes it too slowly

    async def _send_response(self, send: Any, response: Any) -> None:
        if not isinstance(response, Response) or not isinstance(response.response, DataBody):
            await super()._send_response(send, response)
            return
        headers, whole = encode_headers(response.headers), response.response
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": whole.data[whole.begin : whole.end], "more_body": False})


class WhileClientIsThere:
    """Cancel what this task does inside the block once its client has gone. What is quick is not watched."""

    def __init__(self, receive: Receive) -> None:
        self.receive = receive
        self.gone = False
        self.watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        self.task = cast("asyncio.Task[None]", asyncio.current_task())
        self.later = asyncio.get_running_loop().call_later(PATIENCE, self.watch)

    async def __aexit__(self, _kind: object, error: BaseException | None, _where: TracebackType | None) -> bool:
        self.later.cancel()
        if self.watching is not None:
            self.watching.cancel()
        return self.gone and isinstance(error, asyncio.CancelledError) and self.task.uncancel() == 0

    def watch(self) -> None:
        self.watching = asyncio.create_task(self.cancel_when_gone())

    async def cancel_when_gone(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self.task.cancel()


def init_app(app: Quart) -> None:
    app.asgi_http_class = HTTPConnection
