"""What programs ask, mounted at /api."""

from quart import Blueprint
from quart.typing import ResponseReturnValue

main_api_bp = Blueprint("main_api", __name__, url_prefix="/api")


@main_api_bp.get("/")
async def index() -> ResponseReturnValue:
    return {"status": "success"}
