"""Another address for an account: ask, prove the new one, done."""

from quart import Blueprint, flash, redirect, render_template, request
from quart.typing import ResponseReturnValue

from app import events
from app.forms.emails import EmailChangeForm
from app.languages import gettext as _
from app.middleware.authentication import logged_in_user, origin
from app.middleware.devices import remember_device
from app.middleware.freshness import needs_recent_log_in
from app.middleware.kept_forms import keeps_typed, kept_form
from app.middleware.mailed_links import secret_of
from app.middleware.throttling import mail_limits
from app.models import db
from app.models.user_token import Purpose
from app.services import email_changes, links
from app.services.accounts import EmailTaken
from app.services.email_changes import SameEmail
from app.services.links import InvalidLink
from app.views.answers import ask_again

emails_bp = Blueprint("emails", __name__)


@emails_bp.get("/change-email")
@needs_recent_log_in()
async def new() -> ResponseReturnValue:
    return await render_template("emails/new.html", form=EmailChangeForm(data=await kept_form()))


@emails_bp.post("/change-email")
@needs_recent_log_in()
@keeps_typed("email")
async def create() -> ResponseReturnValue:
    user = await logged_in_user()
    form = EmailChangeForm(await request.form)
    if not form.validate():
        return await ask_again("emails/new.html", form)
    try:
        email = form.email.data
        await email_changes.ask(
            user, email, origin=origin(), limits=mail_limits(email, f"{Purpose.CHANGE_EMAIL} by {user.id}")
        )
    except SameEmail as refusal:
        return await ask_again("emails/new.html", form, email=str(refusal))
    await flash(
        _("A mail is on its way to %(email)s. Open the link in it, in this browser, within two hours.", email=email)
    )
    return redirect("/account", 303)


@emails_bp.get("/change-email/<token>")
async def edit(token: str) -> ResponseReturnValue:
    user = await logged_in_user()
    link = await db.read(links.find, secret_of(token, purpose=Purpose.CHANGE_EMAIL), purpose=Purpose.CHANGE_EMAIL)
    if link.user_id != user.id:
        raise InvalidLink
    return await render_template("emails/edit.html", email=link.email)


@emails_bp.post("/change-email/<token>")
async def update(token: str) -> ResponseReturnValue:
    user, secret = await logged_in_user(), secret_of(token, purpose=Purpose.CHANGE_EMAIL)
    try:
        changed = await db.write(email_changes.change, secret, user_id=user.id, origin=origin())
    except EmailTaken:  # somebody else was quicker
        raise InvalidLink from None
    events.record("email_changed", user=user.id)
    remember_device(changed.email)
    await flash(_("Your address is now %(email)s.", email=changed.email))
    return redirect("/account", 303)
