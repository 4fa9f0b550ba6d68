"""Close websockets when the server stops. An open one would delay the stop by the whole grace period."""

import asyncio
from typing import Any

from app.lib.asgi.types import App, Message, Receive, Scope, Send

GOING_AWAY = 1001  # RFC 6455, 7.4.1


class ClosingWebsockets:
    """Close the open websockets of an app once `stopped` is done. Quart then cancels their handlers."""

    def __init__(self, app: App, stopped: "asyncio.Task[Any]") -> None:
        self.app = app
        self.stopped = stopped

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            socket = OpenWebsocket(receive, send, self.stopped)
            await self.app(scope, socket.receive, socket.send)
        else:
            await self.app(scope, receive, send)


class OpenWebsocket:
    def __init__(self, receive: Receive, send: Send, stopped: "asyncio.Task[Any]") -> None:
        self._receive = receive
        self._send = send
        self._stopped = stopped
        self._is_closed = False

    async def receive(self) -> Message:
        """Return the next message of the client, or a disconnect when the server stops."""
        received = asyncio.ensure_future(self._receive())
        try:
            await asyncio.wait({received, self._stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not received.done():
                received.cancel()
        if received.done():
            return received.result()
        await self._send({"type": "websocket.close", "code": GOING_AWAY})
        self._is_closed = True
        return {"type": "websocket.disconnect", "code": GOING_AWAY}

    async def send(self, message: Message) -> None:
        if not self._is_closed:
            await self._send(message)
