"""Plain pages. Copy this file to add your own."""

from quart import Blueprint, render_template
from quart.typing import ResponseReturnValue

main_pages_bp = Blueprint("main_pages", __name__)


@main_pages_bp.get("/")
async def index() -> ResponseReturnValue:
    return await render_template("index.html")


@main_pages_bp.get("/about")
async def about() -> ResponseReturnValue:
    return await render_template("about.html")
