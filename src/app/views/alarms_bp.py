"""Links in mails that report something: "this was not me", and taking a former address back."""

from quart import Blueprint, flash, redirect, render_template
from quart.typing import ResponseReturnValue

from app import events
from app.languages import gettext as _
from app.middleware.authentication import origin
from app.middleware.mailed_links import secret_of
from app.models import db
from app.models.user_token import Purpose
from app.services import email_changes, links, recoveries
from app.services.accounts import EmailTaken
from app.services.links import InvalidLink

alarms_bp = Blueprint("alarms", __name__)


@alarms_bp.get("/not-me/<token>")
async def not_me(token: str) -> ResponseReturnValue:
    link = await db.read(links.find, secret_of(token, purpose=Purpose.NOT_ME), purpose=Purpose.NOT_ME)
    return await render_template("alarms/not_me.html", email=link.email)


@alarms_bp.post("/not-me/<token>")
async def disown(token: str) -> ResponseReturnValue:
    user = await db.write(recoveries.disown, secret_of(token, purpose=Purpose.NOT_ME), origin=origin())
    events.record("disowned", user=user.id)
    return await answer()


@alarms_bp.get("/undo-email/<token>")
async def undo_email(token: str) -> ResponseReturnValue:
    link = await db.read(links.find, secret_of(token, purpose=Purpose.UNDO_EMAIL), purpose=Purpose.UNDO_EMAIL)
    return await render_template("alarms/undo_email.html", email=link.email)


@alarms_bp.post("/undo-email/<token>")
async def take_back(token: str) -> ResponseReturnValue:
    try:
        user = await db.write(email_changes.undo, secret_of(token, purpose=Purpose.UNDO_EMAIL), origin=origin())
    except EmailTaken:
        raise InvalidLink from None
    events.record("email_change_undone", user=user.id)
    return await answer()


async def answer() -> ResponseReturnValue:
    await flash(_("Every browser is logged out and the password is void. A mail brings you a link to choose another."))
    return redirect("/login", 303)
