"""Enter the password again before something sensitive (auth/access.py, `fresh_login_required`)."""

from quart import Blueprint, redirect, render_template, request
from quart.typing import ResponseReturnValue

from app.auth import current_client, require_session
from app.forms.reauthentication import ReauthenticationForm
from app.lib.i18n.catalogs import gettext as _
from app.services.authentication import InvalidCredentials
from app.services.login import reauthenticate
from app.views.responses import render_invalid_form, safe_path

reauthentication_bp = Blueprint("reauthentication", __name__)


@reauthentication_bp.get("/verify")
async def new() -> ResponseReturnValue:
    form = ReauthenticationForm(next=request.args.get("next"))
    return await render_template("reauthentication/new.html", form=form)


@reauthentication_bp.post("/verify")
async def create() -> ResponseReturnValue:
    session, form = await require_session(), ReauthenticationForm(await request.form)
    if not form.validate():
        return await render_invalid_form("reauthentication/new.html", form)

    try:
        await reauthenticate(session.user, form.password.data, session_id=session.id, client=current_client())
    except InvalidCredentials:
        return await render_invalid_form("reauthentication/new.html", form, password=_("The password is wrong."))
    return redirect(safe_path(form.next.data), 303)
