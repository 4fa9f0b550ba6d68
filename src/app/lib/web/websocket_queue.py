"""A limit on the messages of a websocket that its view has not received yet. Quart keeps any number in memory."""

import asyncio

from hypercorn.typing import ASGIReceiveCallable, WebsocketScope
from quart import Quart
from quart.asgi import ASGIWebsocketConnection
from quart.signals import websocket_received

MAX_QUEUED_MESSAGES = 100
MAX_MESSAGE_LENGTH = 64 * 1024  # characters or bytes


class LimitedWebsocketConnection(ASGIWebsocketConnection):
    def __init__(self, app: Quart, scope: WebsocketScope) -> None:
        super().__init__(app, scope)
        self.queue = asyncio.Queue(MAX_QUEUED_MESSAGES)

    async def handle_messages(self, receive: ASGIReceiveCallable) -> None:
        """Queue the messages. Return, which closes the websocket, if one is too long or the queue is full."""
        while (event := await receive())["type"] != "websocket.disconnect":
            if event["type"] == "websocket.receive":
                message = event.get("bytes") or event.get("text") or ""
                if len(message) > MAX_MESSAGE_LENGTH or self.queue.full():
                    return
                await websocket_received.send_async(message)
                self.queue.put_nowait(message)


def init_app(app: Quart) -> None:
    app.asgi_websocket_class = LimitedWebsocketConnection
