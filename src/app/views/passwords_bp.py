"""Change the password of the logged-in user."""

from quart import Blueprint, current_app, flash, redirect, render_template, request, url_for
from quart.typing import ResponseReturnValue

from app.forms.passwords import PasswordChangeForm
from app.languages import gettext as _
from app.middleware.authentication import logged_in_user, new_log_in, start_log_in, visitor
from app.middleware.kept_forms import keeps_typed
from app.middleware.throttling import password_limits
from app.services.authentication import change_password
from app.services.password_policy import PasswordRefused, check_password
from app.services.proof import InvalidCredentials
from app.views.answers import ask_again

passwords_bp = Blueprint("passwords", __name__)


@passwords_bp.get("/.well-known/change-password")
async def well_known() -> ResponseReturnValue:
    """Lead a password manager to the page: W3C, "A Well-Known URL for Changing Passwords"."""
    return redirect(url_for("passwords.edit"), 303)


@passwords_bp.get("/change")
async def edit() -> ResponseReturnValue:
    return await render_template("passwords/edit.html", form=PasswordChangeForm())


@passwords_bp.post("/change")
@keeps_typed()
async def update() -> ResponseReturnValue:
    user = await logged_in_user()
    form = PasswordChangeForm(await request.form)
    if not form.validate():
        return await ask_again("passwords/edit.html", form)

    old, new, remember = form.password.data, form.new_password.data, visitor().is_remembered
    try:
        check_password(new, email=user.email, length_min=current_app.config["SECURITY_PASSWORD_LENGTH_MIN"])
        secret = await change_password(
            user, old, new, log_in=new_log_in(remember=remember), limits=password_limits(user.id)
        )
    except PasswordRefused as refusal:
        return await ask_again("passwords/edit.html", form, new_password=str(refusal))
    except InvalidCredentials:
        return await ask_again("passwords/edit.html", form, password=_("This is not your current password."))

    start_log_in(secret, remember=remember)
    await flash(_("Your password is changed. Other browsers are logged out."))
    return redirect("/", 303)
