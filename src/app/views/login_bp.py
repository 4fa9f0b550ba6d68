"""Log in and out."""

from quart import Blueprint, redirect, render_template, request
from quart.typing import ResponseReturnValue

from app.auth import current_user, public
from app.auth.device_cookie import trust_device, trusted_device
from app.auth.pending_login import continue_login
from app.auth.session_cookie import login, logout, new_session
from app.forms.login import LoginForm
from app.services.authentication import InvalidCredentials
from app.services.extension_points import PendingLogin
from app.services.login import log_in
from app.views.responses import redirect_home_and_clear_cache, render_invalid_form, safe_path

login_bp = Blueprint("login", __name__)


@login_bp.get("/login")
@public
async def new() -> ResponseReturnValue:
    form = LoginForm(next=request.args.get("next"))
    if await current_user.is_authenticated:
        return redirect(safe_path(form.next.data), 303)
    return await render_template("login/new.html", form=form)


@login_bp.post("/login")
@public
async def create() -> ResponseReturnValue:
    form = LoginForm(await request.form)
    if not form.validate():
        return await render_invalid_form("login/new.html", form)

    email, remember = form.email.data, form.remember.data
    new = new_session(remember=remember, target=safe_path(form.next.data))
    try:
        started = await log_in(email, form.password.data, new=new, device=await trusted_device(email))
    except InvalidCredentials as error:
        return await render_invalid_form("login/new.html", form, password=str(error))

    if isinstance(started, PendingLogin):
        return continue_login(started)
    await login(started, remember=remember)
    await trust_device(email)
    return redirect(safe_path(form.next.data), 303)


@login_bp.post("/logout")
@public
async def destroy() -> ResponseReturnValue:
    await logout()
    return redirect_home_and_clear_cache()
