"""A mailed link that has lost its token: some mail programs break long lines."""

from quart import Blueprint
from quart.typing import ResponseReturnValue

from app.models.user_token import Purpose
from app.services.links import InvalidLink

links_bp = Blueprint("links", __name__)


@links_bp.route(f"/<any({', '.join(repr(str(purpose)) for purpose in Purpose)}):purpose>/", methods=["GET", "POST"])
async def cut(purpose: str) -> ResponseReturnValue:  # noqa: ARG001 # whatever the link was to do
    raise InvalidLink
