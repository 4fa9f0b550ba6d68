"""E-mailed links without their token: some mail programs break long lines."""

from quart import Blueprint, abort, request
from quart.typing import ResponseReturnValue

from app.auth import public
from app.models.user_token import TokenPurpose
from app.services.tokens import InvalidToken

email_links_bp = Blueprint("email_links", __name__)

PURPOSES = ", ".join(repr(str(purpose)) for purpose in TokenPurpose)


@email_links_bp.route(f"/<any({PURPOSES}):purpose>/", methods=["GET", "POST"], strict_slashes=False)
@public
async def truncated(purpose: str) -> ResponseReturnValue:  # noqa: ARG001 # the response is the same for each
    if not request.path.endswith("/"):
        abort(404)  # the page of a feature that is switched off
    raise InvalidToken
