"""Change the e-mail address of the logged-in user."""

from quart import Blueprint, flash, redirect, render_template, request
from quart.typing import ResponseReturnValue

from app.auth import current_client, fresh_login_required, preserves_input, rate_limited, require_user, restored_input
from app.auth.device_cookie import trust_device
from app.auth.email_links import verify_token
from app.forms.email import EmailChangeForm
from app.lib.db import db
from app.lib.i18n.catalogs import gettext as _
from app.models.user_token import TokenPurpose
from app.services import email_change, tokens
from app.services.email_change import SameEmail
from app.services.tokens import InvalidToken
from app.views.responses import render_invalid_form

email_change_bp = Blueprint("email_change", __name__, url_prefix="/change-email")


@email_change_bp.get("")
@fresh_login_required
async def new() -> ResponseReturnValue:
    return await render_template("email_change/new.html", form=EmailChangeForm(data=await restored_input()))


@email_change_bp.post("")
@fresh_login_required
@preserves_input("email")
@rate_limited("EMAILS_PER_IP")
async def create() -> ResponseReturnValue:
    user, form = await require_user(), EmailChangeForm(await request.form)
    if not form.validate():
        return await render_invalid_form("email_change/new.html", form)

    email = form.email.data
    try:
        await email_change.request(user, email, client=current_client())
    except SameEmail as error:
        return await render_invalid_form("email_change/new.html", form, email=str(error))

    await flash(_("Check your inbox: we have sent a link to %(email)s. It expires in two hours.", email=email))
    return redirect("/account", 303)


@email_change_bp.get("/<token>")
async def edit(token: str) -> ResponseReturnValue:
    user, purpose = await require_user(), TokenPurpose.CHANGE_EMAIL
    row = await db.read(tokens.find, verify_token(token, purpose=purpose), purpose=purpose)
    if row.user_id != user.id:
        raise InvalidToken
    return await render_template("email_change/edit.html", email=row.email)


@email_change_bp.post("/<token>")
async def update(token: str) -> ResponseReturnValue:
    user, verified = await require_user(), verify_token(token, purpose=TokenPurpose.CHANGE_EMAIL)
    changed = await db.write(email_change.confirm, verified, user_id=user.id, client=current_client())
    await trust_device(changed.email)
    await flash(_("Your e-mail address is now %(email)s.", email=changed.email))
    return redirect("/account", 303)
