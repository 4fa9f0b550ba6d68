"""Choosing the language of the pages, and of the mails to whoever is logged in."""

from urllib.parse import urlsplit

from quart import Blueprint, abort, current_app, redirect, request
from quart.typing import ResponseReturnValue

from app.middleware.authentication import visitor
from app.middleware.languages import remember_language
from app.models import db
from app.services import accounts
from app.views.answers import safe_path

languages_bp = Blueprint("languages", __name__)


@languages_bp.post("/language")
async def choose() -> ResponseReturnValue:
    form = await request.form
    code = form.get("language", "")
    if code not in current_app.config["LANGUAGES"]:
        abort(422)
    await visitor().load()
    if user := visitor().user:
        await db.write(accounts.choose_language, user.id, code)
    response = redirect(page_before(), 303)
    remember_language(response, code)
    return response


def page_before() -> str:
    """Return the page on which the language was chosen, or the front page where that cannot be told or opened."""
    try:
        referrer = urlsplit(request.referrer or "")
    except ValueError:
        return "/"
    if referrer.netloc != request.host or not current_app.url_map.bind("").test(referrer.path, method="GET"):
        return "/"
    return safe_path(referrer._replace(scheme="", netloc="", fragment="").geturl())
