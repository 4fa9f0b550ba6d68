"""Confirm an e-mail address, and send the link again."""

from quart import Blueprint, current_app, flash, redirect, render_template, request, session
from quart.typing import ResponseReturnValue

from app import events
from app.forms.emails import EmailForm
from app.forms.passwords import NewPasswordForm
from app.languages import gettext as _
from app.middleware.authentication import origin
from app.middleware.devices import remember_device
from app.middleware.mailed_links import secret_of
from app.middleware.throttling import mail_limits
from app.models import User, db
from app.models.user_token import Purpose
from app.services import confirmations, hashing, links
from app.services.confirmations import PasswordNeeded
from app.services.password_policy import PasswordRefused, check_password
from app.services.passwords import hash_password
from app.views.answers import ask_again

confirmations_bp = Blueprint("confirmations", __name__)
CHOSEN = "chosen_here"  # key in Quart's session: shows that the password was chosen in this browser


@confirmations_bp.get("/confirm")
async def new() -> ResponseReturnValue:
    return await render_template("confirmations/new.html", form=EmailForm())


@confirmations_bp.post("/confirm")
async def create() -> ResponseReturnValue:
    form = EmailForm(await request.form)
    if not form.validate():
        return await ask_again("confirmations/new.html", form)
    await confirmations.ask_again(form.email.data, limits=mail_limits(form.email.data, Purpose.CONFIRM))
    await flash(_("If an account with this address waits for its confirmation, another mail is on its way."))
    return redirect("/login", 303)


@confirmations_bp.get("/confirm/<token>")
async def edit(token: str) -> ResponseReturnValue:
    user = await user_of(token)
    return await render_template("confirmations/edit.html", form=NewPasswordForm(), **shown(user))


@confirmations_bp.post("/confirm/<token>")
async def update(token: str) -> ResponseReturnValue:
    user, new_hash = await user_of(token), None
    if not was_chosen_here(user):
        form = NewPasswordForm(await request.form)
        if not form.validate():
            return await ask_again("confirmations/edit.html", form, shown(user))
        password, least = form.new_password.data, current_app.config["SECURITY_PASSWORD_LENGTH_MIN"]
        try:
            check_password(password, email=user.email, length_min=least)
        except PasswordRefused as refusal:
            return await ask_again("confirmations/edit.html", form, shown(user), new_password=str(refusal))
        with hashing.queue.slot():
            new_hash = await hash_password(password)

    secret, chosen = secret_of(token, purpose=Purpose.CONFIRM), session.get(CHOSEN)
    try:
        user = await db.write(confirmations.confirm, secret, chosen=chosen, new_hash=new_hash, origin=origin())
    except PasswordNeeded:  # the account has got another password since the page was shown
        return redirect(request.path, 303)
    events.record("confirmed", user=user.id)
    session.pop(CHOSEN, None)
    remember_device(user.email)
    await flash(_("Your address is confirmed. Log in."))
    return redirect("/login", 303)


async def user_of(token: str) -> User:
    link = await db.read(links.find, secret_of(token, purpose=Purpose.CONFIRM), purpose=Purpose.CONFIRM)
    return link.user


def was_chosen_here(user: User) -> bool:
    return confirmations.was_chosen_here(user, session.get(CHOSEN))


def shown(user: User) -> dict[str, object]:
    return {"email": user.email, "needs_password": not was_chosen_here(user)}
