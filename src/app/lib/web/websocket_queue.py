"""A limit on the messages of a websocket that its view has not received yet. Quart keeps any number in memory."""

from typing import Any, cast

from quart import Quart, Websocket

from app.lib.asgi.types import App, Message, Receive, Scope, Send

MAX_WAITING_MESSAGES = 100
MAX_MESSAGE_LENGTH = 64 * 1024  # characters or bytes
WAITING = "app.waiting_messages"  # key in the ASGI scope
POLICY_VIOLATION = 1008  # RFC 6455, 7.4.1


class CountingWebsocket(Websocket):
    async def receive(self) -> Any:
        """Return the next message, which does not wait any more."""
        message = await super().receive()
        cast(Scope, self.scope)[WAITING] -= 1
        return message


class WebsocketQueueMiddleware:
    """Disconnect a client whose message is too long, or whose view does not keep up."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self.app(scope, receive, send)
            return
        scope[WAITING] = 0

        async def receive_within_limits() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive":
                scope[WAITING] += 1
                length = len(message.get("bytes") or message.get("text") or "")
                if length > MAX_MESSAGE_LENGTH or scope[WAITING] > MAX_WAITING_MESSAGES:
                    return {"type": "websocket.disconnect", "code": POLICY_VIOLATION}
            return message

        await self.app(scope, receive_within_limits, send)


def init_app(app: Quart) -> None:
    app.websocket_class = CountingWebsocket
