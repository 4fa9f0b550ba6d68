"""The passkeys of the user: add, rename and remove them."""

from quart import Blueprint, abort, flash, redirect, render_template, request
from quart.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import Unauthorized

from app.auth import current_client, fresh_login_required, preserves_input, rate_limited, require_session, require_user
from app.features.passkeys import ceremonies, passkeys
from app.features.passkeys.errors import PasskeyRefused
from app.features.passkeys.forms import PasskeyForm
from app.features.passkeys.json_requests import (
    belongs_to_another_user,
    json_body,
    limited,
    refuse,
    show_refusal,
    text_in,
)
from app.features.passkeys.models import Passkey
from app.features.passkeys.options import creation_options
from app.lib.db import db
from app.lib.i18n.catalogs import gettext as _
from app.lib.i18n.formatting import describe_user_agent
from app.views.responses import render_invalid_form

passkeys_bp = Blueprint(
    "passkeys",
    __name__,
    url_prefix="/account/passkeys",
    template_folder="templates",
    static_folder="static",
    static_url_path="/static",
)
passkeys_bp.register_error_handler(PasskeyRefused, show_refusal)


@passkeys_bp.get("")
@fresh_login_required
async def index() -> ResponseReturnValue:
    rows = await db.read(passkeys.list_of, user_id=(await require_user()).id)
    form = PasskeyForm(name=describe_user_agent(request.user_agent.string))
    is_full = len(rows) >= passkeys.MAX_PASSKEYS
    return await render_template("passkeys/index.html", rows=rows, form=form, is_full=is_full)


@passkeys_bp.post("/options")
@fresh_login_required
async def create_options() -> ResponseReturnValue:
    """Return the options of navigator.credentials.create(). Responds with 401 to the tab of another user."""
    current = await require_session()
    if await belongs_to_another_user(current.user):
        raise Unauthorized
    handle, rows = await db.write(passkeys.prepare, user_id=current.user_id)
    return creation_options(current.user, handle, rows, current)


@passkeys_bp.post("")
@limited
@fresh_login_required
@rate_limited("LOGINS_PER_IP")
async def create() -> ResponseReturnValue:
    current, body = await require_session(), await json_body()
    form = PasskeyForm(MultiDict({"name": text_in(body, "name") or ""}))
    if not form.validate():
        return refuse(422, code="unprocessable_entity", message=str(form.name.errors[0]))

    credential = ceremonies.verify_registration(body.get("credential"), session=current)
    await db.write(passkeys.add, credential, name=str(form.name.data), current=current, client=current_client())
    await flash(_("The passkey was added."))
    return {"next": "/account/passkeys"}, 201


@passkeys_bp.get("/<int:passkey_id>")
@fresh_login_required
async def edit(passkey_id: int) -> ResponseReturnValue:
    row = await own_passkey(passkey_id)
    return await render_template("passkeys/edit.html", form=PasskeyForm(name=row.name), row=row)


@passkeys_bp.post("/<int:passkey_id>")
@fresh_login_required
@preserves_input()
async def update(passkey_id: int) -> ResponseReturnValue:
    row, form = await own_passkey(passkey_id), PasskeyForm(await request.form)
    if not form.validate():
        return await render_invalid_form("passkeys/edit.html", form, {"row": row})

    await db.write(passkeys.rename, row.id, user_id=row.user_id, name=str(form.name.data))
    await flash(_("Saved."))
    return redirect("/account/passkeys", 303)


@passkeys_bp.post("/<int:passkey_id>/remove")
@fresh_login_required
@preserves_input()
async def remove(passkey_id: int) -> ResponseReturnValue:
    user = await require_user()
    await db.write(passkeys.remove, passkey_id, user_id=user.id, client=current_client())
    await flash(_("The passkey was removed. Delete it from your device too."))
    return redirect("/account/passkeys", 303)


async def own_passkey(passkey_id: int) -> Passkey:
    """Return a passkey of the user. Responds with 404 to any other id."""
    row = await db.read(passkeys.find_own, passkey_id, user_id=(await require_user()).id)
    return row or abort(404)
