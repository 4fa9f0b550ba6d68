"""Reset a forgotten password with an e-mailed link."""

from quart import Blueprint, flash, redirect, render_template, request
from quart.typing import ResponseReturnValue

from app.auth import current_client, public, rate_limited
from app.auth.device_cookie import trust_device
from app.auth.email_links import verify_token
from app.forms.email import EmailForm
from app.forms.password import NewPasswordForm
from app.lib.db import db
from app.lib.i18n.catalogs import gettext as _
from app.lib.passwords.policy import PasswordRefused
from app.models.user_token import TokenPurpose
from app.services import password_reset, tokens
from app.views.responses import render_invalid_form

password_reset_bp = Blueprint("password_reset", __name__)


@password_reset_bp.get("/reset")
@public
async def new() -> ResponseReturnValue:
    return await render_template("password_reset/new.html", form=EmailForm())


@password_reset_bp.post("/reset")
@public
@rate_limited("EMAILS_PER_IP")
async def create() -> ResponseReturnValue:
    form = EmailForm(await request.form)
    if not form.validate():
        return await render_invalid_form("password_reset/new.html", form)

    await password_reset.request_reset(form.email.data, client=current_client())
    await flash(_("If there is an account for this e-mail address, we have sent a link. It expires in one hour."))
    return redirect("/login", 303)


@password_reset_bp.get("/reset/<token>")
@public
async def edit(token: str) -> ResponseReturnValue:
    email = await email_of(verify_token(token, purpose=TokenPurpose.RESET))
    return await render_template("password_reset/edit.html", form=NewPasswordForm(), email=email)


@password_reset_bp.post("/reset/<token>")
@public
async def update(token: str) -> ResponseReturnValue:
    verified = verify_token(token, purpose=TokenPurpose.RESET)
    form = NewPasswordForm(await request.form)
    if not form.validate():
        context = {"email": await email_of(verified)}
        return await render_invalid_form("password_reset/edit.html", form, context)

    try:
        user = await password_reset.reset(verified, form.new_password.data, client=current_client())
    except PasswordRefused as error:
        context = {"email": await email_of(verified)}
        return await render_invalid_form("password_reset/edit.html", form, context, new_password=str(error))

    await trust_device(user.email)
    await flash(_("Your password was changed, and all sessions were ended. Log in with the new password."))
    return redirect("/login", 303)


async def email_of(verified: str) -> str:
    return (await db.read(tokens.find, verified, purpose=TokenPurpose.RESET)).user.email
