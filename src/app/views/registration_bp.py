"""Register an account."""

from quart import Blueprint, current_app, flash, redirect, render_template, request
from quart.typing import ResponseReturnValue

from app.auth import current_client, current_user, public
from app.auth.device_cookie import trust_device, trusted_device
from app.auth.pending_login import continue_login
from app.auth.session_cookie import login, new_session
from app.forms.registration import RegistrationForm
from app.lib.i18n.catalogs import gettext as _
from app.lib.passwords.policy import PasswordRefused
from app.services import registration
from app.services.extension_points import PendingLogin
from app.services.users import EmailReserved, EmailTaken
from app.views.email_confirmation_bp import keep_fingerprint
from app.views.responses import render_invalid_form, safe_path

registration_bp = Blueprint("registration", __name__)


@registration_bp.get("/register")
@public
async def new() -> ResponseReturnValue:
    form = RegistrationForm(next=request.args.get("next"))
    if await current_user.is_authenticated:
        return redirect(safe_path(form.next.data), 303)
    return await render_template("registration/new.html", form=form)


@registration_bp.post("/register")
@public
async def create() -> ResponseReturnValue:
    form = RegistrationForm(await request.form)
    if not form.validate():
        return await render_invalid_form("registration/new.html", form)

    try:
        if current_app.config["SECURITY_CONFIRMABLE"]:
            return await register_unconfirmed(form.email.data, form.password.data)
        return await register(form.email.data, form.password.data, target=form.next.data)
    except PasswordRefused as error:
        return await render_invalid_form("registration/new.html", form, password=str(error))
    except (EmailTaken, EmailReserved) as error:
        return await render_invalid_form("registration/new.html", form, email=str(error))


async def register(email: str, password: str, *, target: str | None) -> ResponseReturnValue:
    new = new_session(remember=False, target=safe_path(target))
    started = await registration.register(email, password, new=new, device=await trusted_device(email))
    if isinstance(started, PendingLogin):  # the account exists, and this is its password
        return continue_login(started)
    await login(started, remember=False)
    await trust_device(email)
    await flash(_("Welcome! Your account was created."))
    return redirect(safe_path(target), 303)


async def register_unconfirmed(email: str, password: str) -> ResponseReturnValue:
    keep_fingerprint(await registration.register_unconfirmed(email, password, client=current_client()))
    await flash(_("Check your inbox: we have sent a link to %(email)s. Open it in this browser.", email=email))
    return redirect("/login", 303)
