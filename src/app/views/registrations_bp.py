"""Register an account."""

from quart import Blueprint, current_app, flash, redirect, render_template, request, session
from quart.typing import ResponseReturnValue

from app.forms.registrations import RegistrationForm
from app.languages import gettext as _
from app.middleware.authentication import new_log_in, origin, start_log_in, visitor
from app.middleware.devices import remember_device
from app.middleware.throttling import log_in_limits, sign_up_limits
from app.services import confirmations
from app.services.accounts import EmailReserved, EmailTaken
from app.services.authentication import sign_up
from app.services.password_policy import PasswordRefused, check_password
from app.views.answers import ask_again, safe_path
from app.views.confirmations_bp import CHOSEN

registrations_bp = Blueprint("registrations", __name__)


@registrations_bp.get("/register")
async def new() -> ResponseReturnValue:
    form = RegistrationForm(next=request.args.get("next"))
    if await visitor().is_authenticated:
        return redirect(safe_path(form.next.data), 303)
    return await render_template("registrations/new.html", form=form)


@registrations_bp.post("/register")
async def create() -> ResponseReturnValue:
    form = RegistrationForm(await request.form)
    if not form.validate():
        return await ask_again("registrations/new.html", form)

    email, password = form.email.data, form.password.data
    limits, settings = sign_up_limits(email), current_app.config
    try:
        check_password(password, email=email, length_min=settings["SECURITY_PASSWORD_LENGTH_MIN"])
        if settings["SECURITY_CONFIRMABLE"]:
            session[CHOSEN] = await confirmations.sign_up(email, password, origin=origin(), limits=limits)
            await flash(_("A mail is on its way to %(email)s. Open the link in it, in this browser.", email=email))
            return redirect("/login", 303)
        secret = await sign_up(
            email,
            password,
            log_in=new_log_in(remember=False),
            limits=limits,
            log_in_limits=log_in_limits(email),
            welcome=settings["SECURITY_SEND_REGISTER_EMAIL"],
        )
    except PasswordRefused as refusal:
        return await ask_again("registrations/new.html", form, password=str(refusal))
    except (EmailTaken, EmailReserved) as refusal:
        return await ask_again("registrations/new.html", form, email=str(refusal))

    start_log_in(secret, remember=False)
    remember_device(email)
    await flash(_("Welcome. Your account is open and you are logged in."))
    return redirect(safe_path(form.next.data), 303)
