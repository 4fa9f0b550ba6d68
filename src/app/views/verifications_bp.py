"""Reauthenticate before a sensitive page (middleware/freshness.py)."""

from quart import Blueprint, redirect, render_template, request
from quart.typing import ResponseReturnValue
from quart_auth import Unauthorized

from app.forms.verifications import VerificationForm
from app.languages import gettext as _
from app.middleware.authentication import logged_in_user, origin, visitor
from app.middleware.throttling import password_limits
from app.services.authentication import prove_again
from app.services.proof import InvalidCredentials
from app.views.answers import ask_again, safe_path

verifications_bp = Blueprint("verifications", __name__)


@verifications_bp.get("/verify")
async def new() -> ResponseReturnValue:
    return await render_template("verifications/new.html", form=VerificationForm(next=request.args.get("next")))


@verifications_bp.post("/verify")
async def create() -> ResponseReturnValue:
    user, log_in = await logged_in_user(), visitor().log_in
    if log_in is None:
        raise Unauthorized
    form = VerificationForm(await request.form)
    if not form.validate():
        return await ask_again("verifications/new.html", form)
    try:
        await prove_again(
            user, form.password.data, session_id=log_in.id, limits=password_limits(user.id), origin=origin()
        )
    except InvalidCredentials:
        return await ask_again("verifications/new.html", form, password=_("This is not your password."))
    return redirect(safe_path(form.next.data), 303)
