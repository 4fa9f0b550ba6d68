"""The active sessions of the user."""

from quart import Blueprint, flash, redirect, render_template
from quart.typing import ResponseReturnValue

from app.auth import current_client, preserves_input, require_session, require_user
from app.lib.db import db
from app.lib.i18n.catalogs import gettext as _
from app.services import sessions

sessions_bp = Blueprint("sessions", __name__, url_prefix="/sessions")


@sessions_bp.get("")
async def index() -> ResponseReturnValue:
    current = await require_session()
    active = await db.read(sessions.list_of, user_id=current.user_id)
    others = [row for row in active if row.id != current.id]
    return await render_template("sessions/index.html", current=current, others=others)


@sessions_bp.post("/<int:session_id>/end")
@preserves_input()
async def end(session_id: int) -> ResponseReturnValue:
    user = await require_user()
    await db.write(sessions.end_one, session_id, user_id=user.id, client=current_client())
    await flash(_("The session was ended."))
    return redirect("/sessions", 303)


@sessions_bp.post("/end-others")
@preserves_input()
async def end_others() -> ResponseReturnValue:
    current = await require_session()
    await db.write(sessions.end_others, current.id, user_id=current.user_id, client=current_client())
    await flash(_("All other sessions were ended."))
    return redirect("/sessions", 303)
