"""The e-mails that a site without MAIL_SERVER would have sent, for its developer. Only on a loopback BASE_URL."""

import ipaddress

from quart import Blueprint, abort, current_app, make_response, render_template, request
from quart.typing import ResponseReturnValue
from werkzeug.exceptions import Forbidden

from app.auth import public
from app.auth.client import ip_address
from app.auth.error_pages import show_error
from app.lib.db import db
from app.lib.i18n.catalogs import current_language, gettext
from app.lib.i18n.catalogs import noop as _
from app.mail import dev_mailbox, rendering
from app.mail.rendering import RenderedEmail
from app.models import Email
from app.services import outbox

dev_mailbox_bp = Blueprint("dev_mailbox", __name__)
KEY_NEEDED = (_("Key required"), _("Open the mailbox with the URL that the server logged at startup."))
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


@dev_mailbox_bp.get(dev_mailbox.PATH)
@public
async def index() -> ResponseReturnValue:
    """Show the e-mails to clients on this machine that have the key: their links give access to every account.

    A cookie keeps the key, so the browser needs it in the URL once.
    """
    if not is_local() or is_forwarded():
        abort(404)
    cookie = f"{current_app.config['COOKIE_PREFIX']}mailbox"
    key = request.args.get("key") or request.cookies.get(cookie, "")
    if not dev_mailbox.is_mailbox_key(key):
        return await show_error(Forbidden(), KEY_NEEDED)

    emails = [(email, await rendered(email)) for email in await db.read(outbox.list_undelivered)]
    response = await make_response(await render_template("dev_mailbox/index.html", emails=emails))
    safe = {"secure": current_app.config["SESSION_COOKIE_SECURE"], "httponly": True, "samesite": "Lax"}
    response.set_cookie(cookie, key, path="/", **safe)
    return response


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
