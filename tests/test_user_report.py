"""`users show`: a report for support."""

import re
from datetime import timedelta

from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import insert, select, update

from app.lib import clock
from app.models import Email, User, UserEvent, UserSession, UserToken
from app.models.user_token import TokenPurpose
from app.services import security_alerts, tokens, users
from app.services.client import COMMAND_LINE, Client
from support.actions import (
    EMAIL,
    PASSWORD,
    cookie_of,
    create_role,
    create_user,
    execute,
    log_in,
    read,
    register,
    scalars,
    write,
)
from support.commands import ADA, CommandLine

OTHER_PASSWORD = "another horse battery staple"


async def active_client(app: Quart) -> TestClientProtocol:
    """Create an account with sessions, tokens, e-mails, roles and a history; return one of its clients."""
    client = app.test_client()
    await register(client)
    await client.post("/account", form={"name": "Ada Lovelace"})
    await log_in(app.test_client())
    await create_role(app, "editor", EMAIL)
    await create_role(app, "admin", EMAIL)

    user, facts = await read(app, users.get_by_email, email=EMAIL), security_alerts.describe_event(Client("", ""))
    for purpose, template in ((TokenPurpose.RESET, "reset"), (TokenPurpose.NOT_ME, "password_changed")):
        await write(app, tokens.send, user, purpose, template, facts=facts, client=COMMAND_LINE)
    return client


def facts_in(printed: str) -> dict[str, str]:
    """Return what `users show` prints, by name; a fact may have several lines."""
    _, *parts = re.split(r"^([\w-]+): *", printed, flags=re.MULTILINE)
    lines = ["\n".join(line.strip() for line in fact.splitlines()) for fact in parts[1::2]]
    return dict(zip(parts[::2], lines, strict=True))


async def test_show_prints_what_support_needs(app: Quart, command_line: CommandLine) -> None:
    await active_client(app)
    await execute(app, update(Email).where(Email.template == "reset").values(sent_on=clock.now(), due_on=None))
    failed = update(Email).where(Email.template == "password_changed")
    await execute(app, failed.values(error="SMTPDataError: (550, 'No')", due_on=None))

    facts = facts_in(command_line.succeed("users", "show", ADA))

    assert (facts["name"], facts["email"]) == ("Ada Lovelace", EMAIL)
    assert (facts["confirmed"], facts["active"], facts["roles"]) == ("no", "yes", "admin, editor")
    assert re.fullmatch(r"2, last seen \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+00:00", facts["sessions"])
    sent = [line.split("+00:00 ")[1] for line in facts["e-mails"].splitlines()]
    assert sent[:2] == ["password_changed: SMTPDataError: (550, 'No')", "reset: sent"]
    events = [line.split("+00:00 ")[1] for line in facts["events"].splitlines()]
    assert events == ["role_added", "role_added", "logged_in", "registered"]


async def test_show_prints_the_latest_five_of_each_on_lines_that_no_mail_server_can_forge(
    app: Quart, command_line: CommandLine
) -> None:
    user, now = await create_user(app), clock.now()
    event = {"user_id": user.id, "ip": "", "user_agent": "", "created_on": now, "expires_on": now + timedelta(days=1)}
    mail = {"user_id": user.id, "recipient": EMAIL, "facts": {}, "expires_on": now + timedelta(days=1), "due_on": None}
    mail["error"] = "no\nroles:   admin\x1b[2J"
    await execute(app, insert(UserEvent).values([event | {"event": f"e{number}"} for number in range(7)]))
    await execute(app, insert(Email).values([mail | {"template": f"m{number}"} for number in range(7)]))

    printed = command_line.succeed("users", "show", EMAIL)

    facts = facts_in(printed)
    assert re.findall(r"e\d", facts["events"]) == ["e6", "e5", "e4", "e3", "e2"]
    assert re.findall(r"m\d", facts["e-mails"]) == ["m6", "m5", "m4", "m3", "m2"]
    assert (facts["roles"], "\x1b" in printed) == ("", False)


async def test_no_secret_and_no_hash_is_printed(app: Quart, command_line: CommandLine) -> None:
    secrets = [cookie_of(await active_client(app))]
    for column in (User.password, UserSession.digest, UserToken.digest, Email.secret):
        secrets += filter(None, await scalars(app, select(column)))
    assert len(secrets) >= 8

    looks = [command_line.run("users", verb, EMAIL) for verb in ("show", "sessions")]
    looks += [command_line.run("users", "set-password", EMAIL, typed=f"{OTHER_PASSWORD}\n")]

    printed = "".join(done.stdout + done.stderr for done in looks)
    assert EMAIL in printed
    assert not [secret for secret in [*secrets, PASSWORD, OTHER_PASSWORD, "$argon2"] if secret in printed]


# Other commands, and what keeps every command from running
