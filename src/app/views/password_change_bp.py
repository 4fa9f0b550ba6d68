"""Change the password of the logged-in user."""

from quart import Blueprint, flash, redirect, render_template, request, url_for
from quart.typing import ResponseReturnValue

from app.auth import current_user, preserves_input, public, require_session
from app.auth.device_cookie import trust_device
from app.auth.session_cookie import login, new_session
from app.forms.password import PasswordChangeForm
from app.lib.i18n.catalogs import gettext as _
from app.lib.passwords.policy import PasswordRefused
from app.services.authentication import InvalidCredentials
from app.services.credentials import change_password
from app.views.responses import render_invalid_form

password_change_bp = Blueprint("password_change", __name__)


@password_change_bp.get("/.well-known/change-password")
@public
async def well_known() -> ResponseReturnValue:
    """Redirect password managers to the page: https://w3c.github.io/webappsec-change-password-url/."""
    return redirect(url_for("password_change.edit"), 303)


@password_change_bp.get("/change")
async def edit() -> ResponseReturnValue:
    return await render_template("password_change/edit.html", form=PasswordChangeForm())


@password_change_bp.post("/change")
@preserves_input()
async def update() -> ResponseReturnValue:
    session, form = await require_session(), PasswordChangeForm(await request.form)
    if not form.validate():
        return await render_invalid_form("password_change/edit.html", form)

    remember = current_user.is_remembered
    try:
        token = await change_password(
            session, form.password.data, form.new_password.data, new=new_session(remember=remember)
        )
    except PasswordRefused as error:
        return await render_invalid_form("password_change/edit.html", form, new_password=str(error))
    except InvalidCredentials:
        return await render_invalid_form("password_change/edit.html", form, password=_("The password is wrong."))

    await login(token, remember=remember)
    await trust_device(session.user.email)
    await flash(_("Your password was changed, and all other sessions were ended."))
    return redirect("/", 303)
