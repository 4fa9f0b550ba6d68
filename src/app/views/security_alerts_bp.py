"""The links of security alerts: "This was not me", and reverting a change of the e-mail address."""

from quart import Blueprint, flash, redirect, render_template
from quart.typing import ResponseReturnValue

from app.auth import current_client, public
from app.auth.email_links import verify_token
from app.lib.db import db
from app.lib.i18n.catalogs import gettext as _
from app.models.user_token import TokenPurpose
from app.services import email_change, password_reset, tokens

security_alerts_bp = Blueprint("security_alerts", __name__)


@security_alerts_bp.get("/not-me/<token>")
@public
async def not_me(token: str) -> ResponseReturnValue:
    email = await email_of(token, purpose=TokenPurpose.NOT_ME)
    return await render_template("security_alerts/not_me.html", email=email)


@security_alerts_bp.post("/not-me/<token>")
@public
async def report_compromise(token: str) -> ResponseReturnValue:
    verified = verify_token(token, purpose=TokenPurpose.NOT_ME)
    await db.write(password_reset.report_compromise, verified, client=current_client())
    return await redirect_to_login()


@security_alerts_bp.get("/undo-email/<token>")
@public
async def undo_email(token: str) -> ResponseReturnValue:
    email = await email_of(token, purpose=TokenPurpose.UNDO_EMAIL)
    return await render_template("security_alerts/undo_email.html", email=email)


@security_alerts_bp.post("/undo-email/<token>")
@public
async def revert_email_change(token: str) -> ResponseReturnValue:
    verified = verify_token(token, purpose=TokenPurpose.UNDO_EMAIL)
    await db.write(email_change.revert, verified, client=current_client())
    return await redirect_to_login()


async def email_of(token: str, *, purpose: TokenPurpose) -> str:
    return (await db.read(tokens.find, verify_token(token, purpose=purpose), purpose=purpose)).email


async def redirect_to_login() -> ResponseReturnValue:
    await flash(_("All sessions were ended. We have sent you a link to choose a new password."))
    return redirect("/login", 303)
