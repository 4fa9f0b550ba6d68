"""The mails that a site without a mail server would have sent, for whoever develops it. Not there on any other."""

import ipaddress

from quart import Blueprint, abort, render_template, request
from quart.typing import ResponseReturnValue

from app import letters
from app.languages import gettext, language
from app.letters import Letter
from app.middleware.client_address import ip_address
from app.models import Mail, db
from app.services import outbox

mailbox_bp = Blueprint("mailbox", __name__)
FORWARDED = (
    "forwarded",
    "x-forwarded-",
    "x-real-",
    "via",
    "cf-",
    "true-client-ip",
    "x-cluster-client-ip",
    "x-client-ip",
)


@mailbox_bp.get("/dev/mailbox")
async def index() -> ResponseReturnValue:
    """Show them to this machine alone: whoever reads them can take any account."""
    if not is_near() or is_forwarded():
        abort(404)
    mails = [(mail, await written(mail)) for mail in await db.read(outbox.kept)]
    return await render_template("mailbox/index.html", mails=mails)


async def written(mail: Mail) -> Letter:
    try:
        return await letters.write(mail)
    except Exception as error:  # noqa: BLE001 # a template is being written: the other mails are shown all the same
        return Letter(gettext("This mail cannot be written"), f"{mail.template}: {error}", "", None, language())


def is_near() -> bool:
    address = ip_address()
    return bool(address) and ipaddress.ip_address(address).is_loopback


def is_forwarded() -> bool:
    """Say whether a proxy passes it on. One that hides what it is speaks HTTP/1.0, which no browser does."""
    return request.http_version == "1.0" or any(name.lower().startswith(FORWARDED) for name, _ in request.headers)
