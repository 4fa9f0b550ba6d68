"""The account of the user: profile, security activity, deletion."""

from quart import Blueprint, flash, redirect, render_template, request
from quart.typing import ResponseReturnValue

from app.auth import current_client, fresh_login_required, preserves_input, require_user, restored_input
from app.auth.session_cookie import forget_browser
from app.forms.account import DeletionForm, ProfileForm
from app.lib.db import db
from app.lib.i18n.catalogs import gettext as _
from app.lib.web.request import current_page_number
from app.services import audit_log, profile
from app.services.account_deletion import DeletionTooEarly, delete_account
from app.services.authentication import InvalidCredentials
from app.services.phone_numbers import PhoneTaken
from app.views.responses import redirect_home_and_clear_cache, render_invalid_form

account_bp = Blueprint("account", __name__, url_prefix="/account")


@account_bp.get("")
async def edit() -> ResponseReturnValue:
    user = await require_user()
    profile = {"name": user.name, "phone": user.phone} | await restored_input()
    return await render_template("account/edit.html", form=ProfileForm(data=profile))


@account_bp.post("")
@preserves_input("name", "phone")
async def update() -> ResponseReturnValue:
    user, form = await require_user(), ProfileForm(await request.form)
    if not form.validate():
        return await render_invalid_form("account/edit.html", form)

    name, phone = form.name.data or None, form.phone.data or None
    try:
        await profile.update_profile(user, name=name, phone=phone, client=current_client())
    except PhoneTaken as error:
        return await render_invalid_form("account/edit.html", form, phone=str(error))

    await flash(_("Saved."))
    return redirect("/account", 303)


@account_bp.get("/activity")
async def show_activity() -> ResponseReturnValue:
    user, number = await require_user(), current_page_number()
    events, has_older = await db.read(audit_log.list_page, user_id=user.id, number=number)
    return await render_template("account/activity.html", events=events, number=number, has_older=has_older)


@account_bp.get("/delete")
@fresh_login_required
async def confirm_deletion() -> ResponseReturnValue:
    return await render_template("account/delete.html", form=DeletionForm())


@account_bp.post("/delete")
@fresh_login_required
@preserves_input()
async def delete() -> ResponseReturnValue:
    user, form = await require_user(), DeletionForm(await request.form)
    if not form.validate():
        return await render_invalid_form("account/delete.html", form)

    try:
        await delete_account(user, form.password.data, client=current_client())
    except InvalidCredentials:
        return await render_invalid_form("account/delete.html", form, password=_("The password is wrong."))
    except DeletionTooEarly as error:
        return await render_invalid_form("account/delete.html", form, password=str(error))

    forget_browser()
    await flash(_("Your account was deleted."))
    return redirect_home_and_clear_cache()
