"""Logging in and out: what is created here is a session."""

from quart import Blueprint, current_app, redirect, render_template, request
from quart.typing import ResponseReturnValue

from app.forms.sessions import LoginForm
from app.middleware.authentication import end_log_in, new_log_in, start_log_in, visitor
from app.middleware.devices import remember_device
from app.middleware.throttling import log_in_limits
from app.services.authentication import InvalidCredentials, sign_in
from app.views.answers import ask_again
from app.views.redirects import safe_path

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

    remember, salt = form.remember.data, current_app.config["SECURITY_PASSWORD_SALT"]
    try:
        log_in = new_log_in(remember=remember)
        limits = log_in_limits(form.email.data)
        secret = await sign_in(form.email.data, form.password.data, salt=salt, log_in=log_in, limits=limits)
    except InvalidCredentials as refusal:
        return await ask_again("sessions/new.html", form, password=str(refusal))

    start_log_in(secret, remember=remember)
    remember_device(form.email.data)
    return redirect(safe_path(form.next.data), 303)


@sessions_bp.post("/logout")
async def destroy() -> ResponseReturnValue:
    await end_log_in()
    return redirect("/", 303)
