"""The commands of an operator: reset a second factor, and rotate SECRET_KEY."""

from typing import Any

from quart import Quart
from sqlalchemy import select

from app.features.second_factor.models import RecoveryCode, SecondFactor
from app.features.second_factor.tests.authenticator import enrolled_user
from support.actions import EMAIL, count, is_logged_in, log_in, scalars
from support.app import SECRET_KEY, both_databases
from support.commands import CommandLine
from support.email_links import events
from support.mail_helpers import mails

NEWER = "a newer key that is long enough for the site"


@both_databases
async def test_an_operator_resets_the_second_factor_of_a_user(app: Quart, command_line: CommandLine) -> None:
    await enrolled_user(app)

    assert command_line.succeed("users", "reset-second-factor", EMAIL) == ""

    assert [await count(app, table) for table in (SecondFactor, RecoveryCode)] == [0, 0]
    assert await events(app, "second_factor_reset") == 1
    assert [mail.facts["change"] for mail in await mails(app, "second_factor_changed")][-1] == "second_factor_reset"
    client = app.test_client()
    await log_in(client)
    assert await is_logged_in(client)
    refusal = command_line.refusal("users", "reset-second-factor", EMAIL)
    assert refusal == "Error: This account has no second factor."
    assert "no account" in command_line.refusal("users", "reset-second-factor", "unknown@example.com")


@both_databases
async def test_rekey_encrypts_every_secret_with_the_new_key(app: Quart, command_line: CommandLine) -> None:
    await enrolled_user(app)
    (before,) = await scalars(app, select(SecondFactor.secret))

    rotated: dict[str, Any] = {"SECRET_KEY": NEWER, "SECRET_KEY_FALLBACKS": (SECRET_KEY,)}
    assert command_line.run("rekey", **rotated).stdout == "Secrets encrypted again: 1\n"
    assert command_line.run("rekey", **rotated).stdout == "Secrets encrypted again: 0\n"
    assert await scalars(app, select(SecondFactor.secret)) != [before]
    assert command_line.run("rekey", SECRET_KEY=NEWER).exit_code == 0
    done = command_line.run("rekey")
    assert (done.exit_code, "does not have: 1" in done.stderr) == (1, True)


async def test_the_commands_are_listed(command_line: CommandLine) -> None:
    assert "reset-second-factor" in command_line.run("users", "--help").stdout
    assert "rekey" in command_line.run("--help").stdout
