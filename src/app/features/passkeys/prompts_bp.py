"""Log in and reauthenticate with a passkey, and return the URL of the page for passkeys to password managers."""

from quart import Blueprint, current_app
from quart.typing import ResponseReturnValue

from app.auth import current_client, public, rate_limited, require_session
from app.auth.device_cookie import trust_device, trusted_device
from app.auth.session_cookie import login, new_session
from app.features.passkeys import ceremonies, logins, passkeys
from app.features.passkeys.challenges import Purpose
from app.features.passkeys.errors import PasskeyRefused
from app.features.passkeys.json_requests import json_body, limited, show_refusal, text_in
from app.features.passkeys.options import request_options
from app.lib.db import db
from app.views.responses import safe_path

prompts_bp = Blueprint("passkey_prompts", __name__)
prompts_bp.register_error_handler(PasskeyRefused, show_refusal)


@prompts_bp.post("/login/passkey/options")
@public
async def login_options() -> ResponseReturnValue:
    """Return the options of navigator.credentials.get(), without a query."""
    return request_options(Purpose.LOGIN)


@prompts_bp.post("/login/passkey")
@public
@limited
@rate_limited("LOGINS_PER_IP")
async def log_in() -> ResponseReturnValue:
    body = await json_body()
    remember, target = body.get("remember") is True, text_in(body, "next")
    response = ceremonies.parse_assertion(body.get("credential"))
    known = await db.read(passkeys.find, response.raw_id)
    new, is_trusted = new_session(remember=remember, target=target), await trusted_device(known.email) is not None
    token = await logins.log_in(known, response, new=new, is_trusted_device=is_trusted)
    await login(token, remember=remember)
    await trust_device(known.email)
    return {"next": safe_path(target)}


@prompts_bp.post("/verify/passkey/options")
async def reauthentication_options() -> ResponseReturnValue:
    """Return the options of navigator.credentials.get() for one of the user's passkeys."""
    current = await require_session()
    rows = await db.read(passkeys.list_of, user_id=current.user_id)
    return request_options(Purpose.REAUTHENTICATION, rows, current)


@prompts_bp.post("/verify/passkey")
@limited
@rate_limited("LOGINS_PER_IP")
async def reauthenticate() -> ResponseReturnValue:
    current, body = await require_session(), await json_body()
    response = ceremonies.parse_assertion(body.get("credential"))
    known = await db.read(passkeys.find, response.raw_id)
    token = await logins.reauthenticate(known, response, current=current, client=current_client())
    await login(token, remember=current.remember)
    return {"next": safe_path(text_in(body, "next"))}


@prompts_bp.get("/.well-known/passkey-endpoints")
@public
async def endpoints() -> ResponseReturnValue:
    """Return the URLs at which users add and manage passkeys (https://www.w3.org/TR/passkey-endpoints/)."""
    page = f"{current_app.config['BASE_URL']}/account/passkeys"
    return {"enroll": page, "manage": page}
