"""`quart --app run mail …`: send a test e-mail."""

import click
from aiosmtplib import SMTPException
from quart import current_app

from app.cli.command import with_app
from app.lib import clock
from app.lib.email_address import valid_email
from app.lib.errors import ServiceError
from app.mail import rendering, smtp
from app.models import Email


@click.group("mail")
def mail_group() -> None:
    """Check the delivery of e-mails."""


@mail_group.command("test")
@click.argument("email")
@with_app
async def send_test(email: str) -> None:
    """Send a test e-mail now, and show the response of the server."""
    config = current_app.config
    if not config["MAIL_SERVER"]:
        raise ServiceError("MAIL_SERVER is empty: e-mails stay in the outbox.")
    test = Email(id=0, template="test", recipient=valid_email(email), facts={}, created_on=clock.now())
    server = f"{config['MAIL_SERVER']}:{config['MAIL_PORT']}"
    try:
        await smtp.send(test, await rendering.render(test))
    except (SMTPException, OSError, ValueError) as error:
        raise ServiceError(f"{server}: {type(error).__name__}: {error}") from error
    click.echo(f"{server} has accepted the e-mail.")
