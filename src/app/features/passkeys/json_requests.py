"""The JSON requests of passkeys.js, and the JSON responses to them."""

from logging import WARNING
from typing import Any

from quart import Response, abort, jsonify, request

from app.auth.preserved_forms import is_owner
from app.features.passkeys.errors import PasskeyRefused
from app.lib import logs
from app.lib.asgi.body_limit import body_limit
from app.models import User

# The response of an authenticator has 1 to 4 KB. The time to parse a hostile response grows faster than its size.
limited = body_limit(max_bytes=16 * 1024, seconds=10)


async def json_body() -> dict[str, Any]:
    """Return the JSON object of the request. Responds with 400 to anything else."""
    body = await request.get_json()
    return body if isinstance(body, dict) else abort(400)


async def belongs_to_another_user(user: User) -> bool:
    """Return whether the page that sent this request was shown to another user, who was logged in before."""
    body = await request.get_json(silent=True)
    owner = text_in(body, "owner") if isinstance(body, dict) else None
    return owner is not None and not is_owner(user, owner)


def text_in(body: dict[str, Any], name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) else None


def refuse(status: int, *, code: str, message: str) -> tuple[Response, int]:
    return jsonify(error={"code": code, "message": message}, request_id=logs.request_id.get()), status


async def show_refusal(error: PasskeyRefused) -> tuple[Response, int]:
    """Respond with 422, and log the reason."""
    logs.record("passkey_refused", level=WARNING, code=error.code, reason=error.reason)
    return refuse(422, code=error.code, message=str(error))
