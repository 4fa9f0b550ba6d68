"""Enter the password again before something sensitive (auth/access.py, `fresh_login_required`)."""

from quart import Blueprint, redirect, render_template, request
from quart.typing import ResponseReturnValue

from app.auth import current_client, require_session, require_user, session_cookie
from app.forms.reauthentication import form_with_proofs
from app.lib.db import db
from app.lib.i18n.catalogs import gettext as _
from app.services import login
from app.services.authentication import InvalidCredentials
from app.services.extension_points import WrongProof
from app.views.responses import render_invalid_form, safe_path

reauthentication_bp = Blueprint("reauthentication", __name__)


@reauthentication_bp.get("/verify")
async def new() -> ResponseReturnValue:
    proofs = await db.read(login.required_proofs, user_id=(await require_user()).id)
    form = form_with_proofs(proofs)(next=request.args.get("next"))
    return await render_template("reauthentication/new.html", form=form, proofs=proofs)


@reauthentication_bp.post("/verify")
async def create() -> ResponseReturnValue:
    session = await require_session()
    proofs = await db.read(login.required_proofs, user_id=session.user_id)
    form, context = form_with_proofs(proofs)(await request.form), {"proofs": proofs}
    if not form.validate():
        return await render_invalid_form("reauthentication/new.html", form, context)

    typed = {proof.name: form[proof.name].data for proof in proofs}
    try:
        token = await login.reauthenticate(
            session.user, form.password.data, session_id=session.id, client=current_client(), proofs=typed
        )
    except (InvalidCredentials, WrongProof):
        wrong = str(WrongProof()) if proofs else _("The password is wrong.")  # never which of them
        return await render_invalid_form("reauthentication/new.html", form, context, password=wrong)
    await session_cookie.login(token, remember=session.remember)
    return redirect(safe_path(form.next.data), 303)
