"""What a mail says: templates/mails/<template>.txt, as text and, paragraph by paragraph, as HTML.

The first line of a template is the subject. A paragraph that is the link becomes a button.
"""

from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import NamedTuple

from quart import current_app

from app.base_url import BaseUrl
from app.middleware.mailed_links import url_of
from app.models import Mail
from app.models.user import ascii_email
from app.models.user_token import ASKED_FOR


class NoAddress(Exception):
    """No mail can be sent to this address."""


class Letter(NamedTuple):
    subject: str
    text: str
    html: str
    link: str | None


async def write(mail: Mail) -> Letter:
    """Write what a mail of the outbox says."""
    link = link_in(mail)
    facts = {**mail.facts, "email": mail.recipient, "link": link, "site": current_app.config["BASE_URL"]}
    templates, config = current_app.jinja_env, current_app.config
    written = await templates.get_template(f"mails/{mail.template}.txt").render_async(**facts, config=config)
    subject, *paragraphs = [" ".join(part.split()) for part in written.split("\n\n") if part.strip()]
    text = "\n\n".join([*paragraphs, f"-- \n{config['BASE_URL']}\n"])
    layout = templates.get_template("mails/layout.html")
    html = await layout.render_async(subject=subject, paragraphs=paragraphs, link=link, site=config["BASE_URL"])
    return Letter(subject, text, html, link)


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
