"""Render an e-mail: templates/emails/<template>.txt as text and, paragraph by paragraph, as HTML.

The first line of a template is the subject. A paragraph that is only the link becomes a button.
"""

import re
from collections.abc import Mapping
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import NamedTuple

from jinja2 import Environment
from quart import current_app

from app.auth.email_links import build_url
from app.lib.email_address import ascii_email
from app.lib.i18n.catalogs import current_language, force_locale, gettext
from app.lib.i18n.catalogs import noop as _
from app.lib.i18n.formatting import describe_user_agent
from app.lib.settings.base_url import BaseUrl
from app.models import Email
from app.models.user_token import USER_REQUESTED, TokenPurpose

BUTTONS = {
    TokenPurpose.CONFIRM: _("Confirm e-mail address"),
    TokenPurpose.RESET: _("Choose a new password"),
    TokenPurpose.CHANGE_EMAIL: _("Confirm e-mail address"),
    TokenPurpose.UNDO_EMAIL: _("Recover your account"),
    TokenPurpose.NOT_ME: _("This was not me"),
}
SPACE = re.compile(r"[^\S\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}]+")  # French needs these two


class InvalidRecipient(Exception):
    """The e-mail address of the recipient is not valid."""


class RenderedEmail(NamedTuple):
    subject: str
    text: str
    html: str
    link: str | None
    language: str


async def render(email: Email) -> RenderedEmail:
    """Return the content of an e-mail of the outbox, in its language or in the first of LANGUAGES."""
    languages = current_app.config["LANGUAGES"]
    with force_locale(email.language if email.language in languages else languages[0]):
        return await _render(email)


async def _render(email: Email) -> RenderedEmail:
    link, site = link_of(email), current_app.config["BASE_URL"]
    context = {"email": email.recipient, "link": link, "where": describe_client(email.facts), "site": site}
    context = email.facts | context | {"config": current_app.config}
    rendered = await text_environment().get_template(f"emails/{email.template}.txt").render_async(context)
    subject, *paragraphs = [SPACE.sub(" ", part).strip() for part in rendered.split("\n\n") if part.strip()]
    content = {"subject": subject, "paragraphs": paragraphs, "link": link, "site": site}
    button = gettext(BUTTONS[TokenPurpose(email.purpose)]) if email.purpose else None
    html = await current_app.jinja_env.get_template("emails/layout.html").render_async(content, button=button)
    text = "\n\n".join([*paragraphs, f"-- \n{site}\n"])
    return RenderedEmail(subject, text, html, link, current_language())


def text_environment() -> Environment:
    """Return the environment of the pages without trim_blocks, which removes the line break after {% endtrans %}."""
    if "email_templates" not in current_app.extensions:
        current_app.extensions["email_templates"] = current_app.jinja_env.overlay(trim_blocks=False)
    environment: Environment = current_app.extensions["email_templates"]
    return environment


def link_of(email: Email) -> str | None:
    """Return the link of an e-mail. None if it has none, or if its page is switched off."""
    if email.purpose is None or email.secret is None:
        return None
    is_alert = email.purpose not in USER_REQUESTED
    if is_alert and not current_app.config["SECURITY_RECOVERABLE"]:
        return None
    return build_url(email.purpose, email.secret)


def describe_client(facts: Mapping[str, str]) -> str:
    """Return the source of an event: its browser and IP address. The e-mails add it in parentheses to the time."""
    if facts.get("at_command_line"):
        return gettext("on the command line of the site")
    ip, device = facts.get("ip"), describe_user_agent(facts.get("user_agent", ""))
    return gettext("%(device)s, IP address %(ip)s", device=device, ip=ip) if ip else device


def build_message(email: Email, rendered: RenderedEmail) -> EmailMessage:
    """Return the message for an SMTP server. Raises InvalidRecipient unless the recipient is one e-mail address."""
    message = EmailMessage()
    message["From"] = named_address(current_app.config["MAIL_DEFAULT_SENDER"])
    if current_app.config["MAIL_REPLY_TO"]:
        message["Reply-To"] = named_address(current_app.config["MAIL_REPLY_TO"])
    try:
        message["To"] = Address(addr_spec=ascii_email(email.recipient))
    except (ValueError, MessageError) as error:  # an account of an older installation may have any text
        raise InvalidRecipient(f"{type(error).__name__}: {error}") from error
    message["Subject"] = rendered.subject
    message["Date"] = format_datetime(email.created_on)
    # The same at every try, so that a mail program can detect an e-mail that is delivered twice.
    host = BaseUrl.parse(current_app.config["BASE_URL"]).authority.host
    message["Message-ID"] = f"<{email.id}.{email.created_on:%Y%m%d%H%M%S}@{host}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office replies
    message.set_content(rendered.text)
    message.add_alternative(rendered.html, subtype="html")
    return message


def named_address(text: str) -> Address:
    """Return the address of a text such as `Example <site@example.com>`."""
    name, email = parseaddr(text)
    return Address(name.strip(), addr_spec=ascii_email(email))
