"""What a mail says: templates/mails/<template>.txt, as text and, paragraph by paragraph, as HTML.

The first line of a template is the subject. A paragraph that is the link becomes a button.
"""

import re
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import NamedTuple

from quart import current_app

from app.base_url import BaseUrl
from app.languages import gettext, language, speaking
from app.languages import untranslated as _
from app.middleware.mailed_links import url_of
from app.models import Mail
from app.models.user import ascii_email
from app.models.user_token import ASKED_FOR, Purpose
from app.words import where_in_words

BUTTONS = {  # what the link of a mail does
    Purpose.CONFIRM: _("Confirm your address"),
    Purpose.RESET: _("Choose a new password"),
    Purpose.CHANGE_EMAIL: _("Use this address"),
    Purpose.UNDO_EMAIL: _("Take your account back"),
    Purpose.NOT_ME: _("This was not me"),
}


SPACE = re.compile(r"[^\S\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}]+")  # those two are to stay: French has them


class NoAddress(Exception):
    """No mail can be sent to this address."""


class Letter(NamedTuple):
    subject: str
    text: str
    html: str
    link: str | None
    language: str


async def write(mail: Mail) -> Letter:
    """Write what a mail of the outbox says, in its reader's language; in the site's first where that is not spoken."""
    spoken = current_app.config["LANGUAGES"]
    with speaking(mail.language if mail.language in spoken else spoken[0]):
        return await _written(mail)


async def _written(mail: Mail) -> Letter:
    link, site, templates = link_in(mail), current_app.config["BASE_URL"], current_app.jinja_env
    ours = {"email": mail.recipient, "link": link, "where": where_in_words(mail.facts), "site": site}
    facts = mail.facts | ours | {"config": current_app.config}
    written = await templates.get_template(f"mails/{mail.template}.txt").render_async(facts)
    subject, *paragraphs = [SPACE.sub(" ", part).strip() for part in written.split("\n\n") if part.strip()]
    said = {"subject": subject, "paragraphs": paragraphs, "link": link, "site": site}
    button = gettext(BUTTONS[Purpose(mail.purpose)]) if mail.purpose else None
    html = await templates.get_template("mails/layout.html").render_async(said, button=button)
    return Letter(subject, "\n\n".join([*paragraphs, f"-- \n{site}\n"]), html, link, language())


def link_in(mail: Mail) -> str | None:
    """Return the link, unless it leads to a page that is switched off."""
    if mail.purpose is None or mail.secret is None:
        return None
    is_alarm = mail.purpose not in ASKED_FOR
    return None if is_alarm and not current_app.config["SECURITY_RECOVERABLE"] else url_of(mail.purpose, mail.secret)


def envelope(mail: Mail, letter: Letter) -> EmailMessage:
    """Put a letter into a message. To is one address, whatever stands in it. Raises NoAddress."""
    message = EmailMessage()
    name, address = parseaddr(current_app.config["MAIL_DEFAULT_SENDER"])
    message["From"] = Address(name.strip(), addr_spec=ascii_email(address))
    try:
        message["To"] = Address(addr_spec=ascii_email(mail.recipient))
    except (ValueError, MessageError) as error:  # an account of an older installation may have any
        raise NoAddress(f"{type(error).__name__}: {error}") from error
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(mail.created_on)
    # The same whenever it is tried again, so that a mail that arrives twice can be known for one.
    host = BaseUrl.parse(current_app.config["BASE_URL"]).authority.host
    message["Message-ID"] = f"<{mail.id}.{mail.created_on:%Y%m%d%H%M%S}@{host}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    message.set_content(letter.text)
    message.add_alternative(letter.html, subtype="html")
    return message
