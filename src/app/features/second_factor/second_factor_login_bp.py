"""Complete a pending login with a code."""

from quart import Blueprint, flash, redirect, render_template, request
from quart.typing import ResponseReturnValue

from app.auth import public
from app.auth.device_cookie import trust_device, trusted_device
from app.auth.pending_login import forget_pending_login, pending_token
from app.auth.session_cookie import login, new_session
from app.features.second_factor import login_attempts
from app.features.second_factor.codes import WrongCode
from app.features.second_factor.forms import CodeForm
from app.features.second_factor.login_attempts import CompletedLogin, UnknownAttempt
from app.lib.db import db
from app.lib.i18n.catalogs import gettext as _
from app.views.responses import render_invalid_form

second_factor_login_bp = Blueprint("second_factor_login", __name__, url_prefix="/login/second")


@second_factor_login_bp.get("")
@public
async def new() -> ResponseReturnValue:
    token = pending_token()
    if token is None:
        return redirect("/login", 303)
    try:
        await db.read(login_attempts.find, token)
    except UnknownAttempt:
        return await start_again()
    return await render_template("second_factor/login.html", form=CodeForm())


@second_factor_login_bp.post("")
@public
async def create() -> ResponseReturnValue:
    token, form = pending_token(), CodeForm(await request.form)
    if token is None:
        return redirect("/login", 303)
    if not form.validate():
        return await render_invalid_form("second_factor/login.html", form)

    try:
        completed = await complete(token, form.code.data or "")
    except WrongCode as error:
        return await render_invalid_form("second_factor/login.html", form, code=str(error))
    except UnknownAttempt:
        return await start_again()

    await login(completed.token, remember=completed.remember)
    await trust_device(completed.email)
    if (left := completed.codes_left) is not None:
        await flash(_("You have used a recovery code. Recovery codes left: %(number)s.", number=left))
    return forget_pending_login(redirect(completed.target, 303))


async def complete(token: str, code: str) -> CompletedLogin:
    attempt = await db.read(login_attempts.find, token)
    is_trusted = await trusted_device(attempt.user.email) is not None
    return await login_attempts.complete(token, code, new=new_session(remember=False), is_trusted_device=is_trusted)


async def start_again() -> ResponseReturnValue:
    await flash(_("The login has expired. Log in again."))
    return forget_pending_login(redirect("/login", 303))
