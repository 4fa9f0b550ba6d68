"""The e-mails that a site without MAIL_SERVER would have sent, for its developer. Only on a loopback BASE_URL."""

import ipaddress

from quart import Blueprint, abort, render_template, request
from quart.typing import ResponseReturnValue

from app.auth import public
from app.auth.client import ip_address
from app.lib.db import db
from app.lib.i18n.catalogs import current_language, gettext
from app.mail import rendering
from app.mail.rendering import RenderedEmail
from app.models import Email
from app.services import outbox

dev_mailbox_bp = Blueprint("dev_mailbox", __name__)
FORWARDING_HEADERS = (
    "forwarded",
    "x-forwarded-",
    "x-real-",
    "via",
    "cf-",
    "true-client-ip",
    "x-cluster-client-ip",
    "x-client-ip",
)


@dev_mailbox_bp.get("/dev/mailbox")
@public
async def index() -> ResponseReturnValue:
    """Show the e-mails to clients on this machine only: their links give access to every account."""
    if not is_local() or is_forwarded():
        abort(404)
    emails = [(email, await rendered(email)) for email in await db.read(outbox.list_undelivered)]
    return await render_template("dev_mailbox/index.html", emails=emails)


async def rendered(email: Email) -> RenderedEmail:
    try:
        return await rendering.render(email)
    except Exception as error:  # noqa: BLE001 # an error in one template must not hide the other e-mails
        subject, text = gettext("This e-mail cannot be rendered"), f"{email.template}: {error}"
        return RenderedEmail(subject, text, "", None, current_language())


def is_local() -> bool:
    address = ip_address()
    return bool(address) and ipaddress.ip_address(address).is_loopback


def is_forwarded() -> bool:
    """Return whether the request came through a proxy. One without headers uses HTTP/1.0, which no browser does."""
    names = [name.lower() for name, _ in request.headers]
    return request.http_version == "1.0" or any(name.startswith(FORWARDING_HEADERS) for name in names)
