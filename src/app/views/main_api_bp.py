"""The JSON API at /api."""

from quart import Blueprint
from quart.typing import ResponseReturnValue

from app.auth import public

main_api_bp = Blueprint("main_api", __name__, url_prefix="/api")


@main_api_bp.get("/")
@public
async def index() -> ResponseReturnValue:
    return {"status": "success"}
