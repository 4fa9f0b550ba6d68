"""Reset a forgotten password with a mailed link."""

from quart import Blueprint, current_app, flash, redirect, render_template, request
from quart.typing import ResponseReturnValue

from app import events
from app.forms.emails import EmailForm
from app.forms.passwords import NewPasswordForm
from app.languages import gettext as _
from app.middleware.authentication import origin
from app.middleware.devices import remember_device
from app.middleware.mailed_links import secret_of
from app.middleware.throttling import mail_limits
from app.models import db
from app.models.user_token import Purpose
from app.services import hashing, links, recoveries
from app.services.password_policy import PasswordRefused, check_password
from app.services.passwords import hash_password
from app.views.answers import ask_again

recoveries_bp = Blueprint("recoveries", __name__)


@recoveries_bp.get("/reset")
async def new() -> ResponseReturnValue:
    return await render_template("recoveries/new.html", form=EmailForm())


@recoveries_bp.post("/reset")
async def create() -> ResponseReturnValue:
    form = EmailForm(await request.form)
    if not form.validate():
        return await ask_again("recoveries/new.html", form)
    await recoveries.ask(form.email.data, origin=origin(), limits=mail_limits(form.email.data, Purpose.RESET))
    await flash(
        _("If there is an account with this address, a mail with a link is on its way. It is good for an hour.")
    )
    return redirect("/login", 303)


@recoveries_bp.get("/reset/<token>")
async def edit(token: str) -> ResponseReturnValue:
    link = await db.read(links.find, secret_of(token, purpose=Purpose.RESET), purpose=Purpose.RESET)
    return await render_template("recoveries/edit.html", form=NewPasswordForm(), email=link.user.email)


@recoveries_bp.post("/reset/<token>")
async def update(token: str) -> ResponseReturnValue:
    secret = secret_of(token, purpose=Purpose.RESET)
    email = (await db.read(links.find, secret, purpose=Purpose.RESET)).user.email
    form = NewPasswordForm(await request.form)
    if not form.validate():
        return await ask_again("recoveries/edit.html", form, {"email": email})

    password = form.new_password.data
    try:
        check_password(password, email=email, length_min=current_app.config["SECURITY_PASSWORD_LENGTH_MIN"])
    except PasswordRefused as refusal:
        return await ask_again("recoveries/edit.html", form, {"email": email}, new_password=str(refusal))
    with hashing.queue.slot():
        hashed = await hash_password(password)
    user = await db.write(recoveries.reset, secret, password_hash=hashed, origin=origin())
    events.record("password_reset", user=user.id)
    remember_device(user.email)
    await flash(_("Your password is changed, and every browser is logged out. Log in with the new one."))
    return redirect("/login", 303)
