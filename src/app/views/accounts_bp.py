"""The user's own account: profile, recent activity, deletion."""

from quart import Blueprint, flash, redirect, render_template, request
from quart.typing import ResponseReturnValue
from quart_auth import logout_user

from app import events
from app.forms.accounts import DeletionForm, ProfileForm
from app.languages import gettext as _
from app.middleware.authentication import logged_in_user, origin
from app.middleware.freshness import needs_recent_log_in
from app.middleware.kept_forms import keeps_typed, kept_form
from app.middleware.throttling import password_limits, phone_limits
from app.models import db
from app.services import accounts, activity, throttling
from app.services.accounts import PhoneTaken
from app.services.authentication import delete_account
from app.services.proof import InvalidCredentials
from app.views.answers import ask_again, say_good_bye

accounts_bp = Blueprint("accounts", __name__, url_prefix="/account")


@accounts_bp.get("")
async def edit() -> ResponseReturnValue:
    user = await logged_in_user()
    shown = {"name": user.name, "phone": user.phone} | await kept_form()
    return await render_template("accounts/edit.html", form=ProfileForm(data=shown))


@accounts_bp.post("")
@keeps_typed("name", "phone")
async def update() -> ResponseReturnValue:
    user = await logged_in_user()
    form = ProfileForm(await request.form)
    if not form.validate():
        return await ask_again("accounts/edit.html", form)
    typed = {"name": form.name.data or None, "phone": form.phone.data or None}
    try:
        if typed["phone"] != user.phone:
            await db.write(throttling.take, phone_limits(user.id).all)
        await db.write(accounts.change_profile, user.id, **typed, origin=origin())
    except PhoneTaken as refusal:
        return await ask_again("accounts/edit.html", form, phone=str(refusal))
    events.record("profile_changed", user=user.id)
    await flash(_("Saved."))
    return redirect("/account", 303)


@accounts_bp.get("/activity")
async def show_activity() -> ResponseReturnValue:
    user = await logged_in_user()
    happened = await db.read(activity.list_recent, user_id=user.id)
    return await render_template("accounts/activity.html", happened=happened)


@accounts_bp.get("/delete")
@needs_recent_log_in()
async def confirm_deletion() -> ResponseReturnValue:
    return await render_template("accounts/delete.html", form=DeletionForm())


@accounts_bp.post("/delete")
@needs_recent_log_in()
@keeps_typed()
async def delete() -> ResponseReturnValue:
    user = await logged_in_user()
    form = DeletionForm(await request.form)
    if not form.validate():
        return await ask_again("accounts/delete.html", form)
    try:
        await delete_account(user, form.password.data, limits=password_limits(user.id))
    except InvalidCredentials:
        return await ask_again("accounts/delete.html", form, password=_("This is not your password."))
    logout_user()
    await flash(_("Your account is deleted, with everything in it."))
    return say_good_bye()
