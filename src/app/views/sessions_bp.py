"""Log in and out, and list the active sessions."""

from quart import Blueprint, current_app, flash, redirect, render_template, request
from quart.typing import ResponseReturnValue
from quart_auth import Unauthorized

from app import events
from app.forms.sessions import LoginForm
from app.languages import gettext as _
from app.middleware.authentication import end_log_in, logged_in_user, new_log_in, origin, start_log_in, visitor
from app.middleware.devices import known_device, remember_device
from app.middleware.throttling import log_in_limits
from app.models import UserSession, db
from app.services import sessions
from app.services.authentication import sign_in
from app.services.proof import InvalidCredentials
from app.views.answers import ask_again, safe_path, say_good_bye

sessions_bp = Blueprint("sessions", __name__)


@sessions_bp.get("/login")
async def new() -> ResponseReturnValue:
    form = LoginForm(next=request.args.get("next"))
    if await visitor().is_authenticated:
        return redirect(safe_path(form.next.data), 303)
    return await render_template("sessions/new.html", form=form)


@sessions_bp.post("/login")
async def create() -> ResponseReturnValue:
    form = LoginForm(await request.form)
    if not form.validate():
        return await ask_again("sessions/new.html", form)

    email, remember = form.email.data, form.remember.data
    try:
        secret = await sign_in(
            email,
            form.password.data,
            log_in=new_log_in(remember=remember, known_browser=known_device(email) is not None),
            limits=log_in_limits(email),
            confirmed_only=current_app.config["SECURITY_CONFIRMABLE"],
        )
    except InvalidCredentials as refusal:
        return await ask_again("sessions/new.html", form, password=str(refusal))

    start_log_in(secret, remember=remember)
    remember_device(email)
    return redirect(safe_path(form.next.data), 303)


@sessions_bp.post("/logout")
async def destroy() -> ResponseReturnValue:
    await end_log_in()
    return say_good_bye()


@sessions_bp.get("/sessions")
async def index() -> ResponseReturnValue:
    user, here = await logged_in_user(), this_session()
    others = [row for row in await db.read(sessions.list_of, user_id=user.id) if row.id != here.id]
    return await render_template("sessions/index.html", here=here, others=others)


@sessions_bp.post("/sessions/<int:session_id>/end")
async def end(session_id: int) -> ResponseReturnValue:
    user = await logged_in_user()
    if await db.write(sessions.end_one, session_id, user_id=user.id, origin=origin()):
        events.record("session_ended", user=user.id)
    await flash(_("The other browser is logged out."))
    return redirect("/sessions", 303)


@sessions_bp.post("/sessions/end-others")
async def end_others() -> ResponseReturnValue:
    user = await logged_in_user()
    await db.write(sessions.end_others, this_session().id, user_id=user.id, origin=origin())
    events.record("other_sessions_ended", user=user.id)
    await flash(_("All other browsers are logged out."))
    return redirect("/sessions", 303)


def this_session() -> UserSession:
    if (row := visitor().log_in) is None:
        raise Unauthorized
    return row
