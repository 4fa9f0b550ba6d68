"""A mailed link that has lost its token: some mail programs break long lines."""

from quart import Blueprint, abort, request
from quart.typing import ResponseReturnValue

from app.models.user_token import Purpose
from app.services.links import InvalidLink

links_bp = Blueprint("links", __name__)


PURPOSES = ", ".join(repr(str(purpose)) for purpose in Purpose)


@links_bp.route(f"/<any({PURPOSES}):purpose>/", methods=["GET", "POST"], strict_slashes=False)
async def cut(purpose: str) -> ResponseReturnValue:  # noqa: ARG001 # whatever the link was to do
    if not request.path.endswith("/"):
        abort(404)  # a page that is switched off
    raise InvalidLink
