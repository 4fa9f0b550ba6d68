"""The second factor of the user: enrol an authenticator app, remove it, and get new recovery codes."""

import json

import segno
from quart import Blueprint, current_app, flash, redirect, render_template, request, session
from quart.typing import ResponseReturnValue

from app.auth import current_client, fresh_login_required, preserves_input, require_session, require_user
from app.features.second_factor import encryption, enrolment, factors, recovery_codes, totp
from app.features.second_factor.codes import WrongCode
from app.features.second_factor.encryption import Undecryptable
from app.features.second_factor.enrolment import AlreadyEnrolled, NotConfirmed, NotEnrolled
from app.features.second_factor.forms import CodeForm
from app.lib.db import db
from app.lib.i18n.catalogs import gettext as _
from app.models import User
from app.views.responses import render_invalid_form

second_factor_bp = Blueprint(
    "second_factor", __name__, url_prefix="/account/second-factor", template_folder="templates"
)
SECRET, NEW_CODES = "second_factor_secret", "recovery_codes"  # keys in Quart's session; the values are encrypted
SECRET_MAX_AGE_SECONDS = 1800
NEW_CODES_MAX_AGE_SECONDS = 300


@second_factor_bp.get("")
async def show() -> ResponseReturnValue:
    user = await require_user()
    factor = await db.read(factors.find, user_id=user.id)
    left = await db.read(recovery_codes.count, user_id=user.id) if factor else 0
    context = {"factor": factor, "codes_left": left, "new_codes": pop_new_codes(user)}
    return await render_template("second_factor/show.html", **context)


@second_factor_bp.get("/totp")
@fresh_login_required
async def new() -> ResponseReturnValue:
    user = await require_user()
    factor = await db.read(factors.find, user_id=user.id)
    if factor or user.confirmed_on is None:
        return redirect("/account/second-factor", 303)
    return await render_template("second_factor/new.html", form=CodeForm(), **context_of(user))


@second_factor_bp.post("/totp")
@fresh_login_required
@preserves_input()
async def create() -> ResponseReturnValue:
    current, form = await require_session(), CodeForm(await request.form)
    user = current.user
    if await db.read(factors.find, user_id=user.id):  # an old cookie still contains the secret, which no page may show
        return redirect("/account/second-factor", 303)
    if not form.validate():
        return await render_invalid_form("second_factor/new.html", form, context_of(user))

    try:
        new_codes = await enrolment.enrol(current, pending_secret(user), form.code.data or "", client=current_client())
    except WrongCode as error:
        return await render_invalid_form("second_factor/new.html", form, context_of(user), code=str(error))
    except (AlreadyEnrolled, NotConfirmed) as error:
        await flash(str(error))
        return redirect("/account/second-factor", 303)

    session.pop(SECRET, None)
    store_new_codes(user, new_codes)
    await flash(_("Two-factor authentication is on."))
    return redirect("/account/second-factor", 303)


@second_factor_bp.post("/totp/remove")
@fresh_login_required
@preserves_input()
async def destroy() -> ResponseReturnValue:
    current = await require_session()
    try:
        await db.write(enrolment.remove, current=current, client=current_client())
    except NotEnrolled:  # removed in another tab
        return redirect("/account/second-factor", 303)
    await flash(_("Two-factor authentication is off."))
    return redirect("/account/second-factor", 303)


@second_factor_bp.post("/codes")
@fresh_login_required
@preserves_input()
async def replace_codes() -> ResponseReturnValue:
    current = await require_session()
    try:
        store_new_codes(current.user, await enrolment.replace_recovery_codes(current, client=current_client()))
    except NotEnrolled:
        return redirect("/account/second-factor", 303)
    return redirect("/account/second-factor", 303)


def context_of(user: User) -> dict[str, object]:
    """Return the template context of the enrolment: the secret as text, as a link, and as a QR code."""
    secret = pending_secret(user)
    uri = totp.provisioning_uri(secret, issuer=current_app.config["SITE_NAME"], email=user.email)
    code = segno.make(uri, error="m").svg_inline(border=4, dark="#000", light="#fff", omitsize=True)
    return {"secret": totp.as_text(secret), "uri": uri, "qr_code": code}


def pending_secret(user: User) -> bytes:
    """Return the secret of an unfinished enrolment. It is the same in every tab for half an hour."""
    purpose = f"enrolment of {user.id}"
    try:
        return encryption.decrypt(session.get(SECRET, ""), purpose=purpose, max_age_seconds=SECRET_MAX_AGE_SECONDS)
    except Undecryptable:
        secret = totp.new_secret()
        session[SECRET] = encryption.encrypt(secret, purpose=purpose)
        return secret


def store_new_codes(user: User, new_codes: list[str]) -> None:
    """Store the recovery codes, encrypted, for the next page, which shows them once."""
    session[NEW_CODES] = encryption.encrypt(json.dumps(new_codes).encode(), purpose=f"codes of {user.id}")


def pop_new_codes(user: User) -> list[str]:
    try:
        found = encryption.decrypt(
            session.pop(NEW_CODES, ""), purpose=f"codes of {user.id}", max_age_seconds=NEW_CODES_MAX_AGE_SECONDS
        )
    except Undecryptable:
        return []
    new_codes: list[str] = json.loads(found)
    return new_codes
