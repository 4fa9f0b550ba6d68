"""Choose the language of the pages, and of the e-mails to a logged-in user."""

from urllib.parse import urlsplit

from quart import Blueprint, abort, current_app, redirect, request
from quart.typing import ResponseReturnValue

from app.auth import current_user, public
from app.auth.preserved_forms import belongs_to_another_user, can_be_opened
from app.lib.db import db
from app.lib.i18n.negotiation import set_language_cookie
from app.services import profile
from app.views.responses import safe_path

language_bp = Blueprint("language", __name__)


@language_bp.post("/language")
@public
async def choose() -> ResponseReturnValue:
    code = (await request.form).get("language", "")
    if code not in current_app.config["LANGUAGES"]:
        abort(422)
    await current_user.load()
    if (user := current_user.user) and not await belongs_to_another_user(user):
        await db.write(profile.choose_language, user.id, code)
    response = redirect(referring_page(), 303)
    set_language_cookie(response, code)
    return response


def referring_page() -> str:
    """Return the page with the form, or the front page if it is unknown or cannot be opened."""
    try:
        referrer = urlsplit(request.referrer or "")
    except ValueError:
        return "/"
    if referrer.netloc != request.host or not can_be_opened(referrer.path):
        return "/"
    return safe_path(referrer._replace(scheme="", netloc="", fragment="").geturl())
