"""`quart --app run mail …`: does mail leave?"""

import click
from aiosmtplib import SMTPException
from quart import current_app

from app import letters, mailer
from app.cli.running import in_app
from app.models import Mail, clock
from app.models.user import valid_email
from app.services.refusals import Refusal


@click.group("mail")
def mail_group() -> None:
    """Look after mail."""


@mail_group.command("test")
@click.argument("address")
@in_app
async def send_test(address: str) -> None:
    """Send a mail to an address, now, and say what the server said."""
    config = current_app.config
    if not config["MAIL_SERVER"]:
        raise Refusal("MAIL_SERVER is empty: mails stay in the outbox.")
    mail = Mail(id=0, template="test", recipient=valid_email(address), facts={}, created_on=clock.now())
    server = f"{config['MAIL_SERVER']}:{config['MAIL_PORT']}"
    try:
        await mailer.send(mail, await letters.write(mail))
    except (SMTPException, OSError, ValueError) as error:
        raise Refusal(f"{server}: {type(error).__name__}: {error}") from error
    click.echo(f"{server} has taken it.")
