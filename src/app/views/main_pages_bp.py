"""Plain pages. Copy this file to add your own."""

from quart import Blueprint, render_template
from quart.typing import ResponseReturnValue

from app.auth import public

main_pages_bp = Blueprint("main_pages", __name__)


@main_pages_bp.get("/")
@public
async def index() -> ResponseReturnValue:
    return await render_template("index.html")


@main_pages_bp.get("/about")
@public
async def about() -> ResponseReturnValue:
    return await render_template("about.html")
