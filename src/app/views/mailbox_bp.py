"""The mails that a site without a mail server would have sent, for whoever develops it. Not there on any other."""

import ipaddress

from quart import Blueprint, abort, render_template, request
from quart.typing import ResponseReturnValue

from app import letters
from app.middleware.client_address import ip_address
from app.models import db
from app.services import outbox

mailbox_bp = Blueprint("mailbox", __name__)
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")


@mailbox_bp.get("/dev/mailbox")
async def index() -> ResponseReturnValue:
    """Show them to this machine alone: whoever reads them can take any account."""
    address = ip_address()
    is_near = bool(address) and ipaddress.ip_address(address).is_loopback
    if not is_near or any(name in request.headers for name in FORWARDED):
        abort(404)
    mails = [(mail, await letters.write(mail)) for mail in await db.read(outbox.kept)]
    return await render_template("mailbox/index.html", mails=mails)
