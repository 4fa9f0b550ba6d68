"""The commands for accounts and roles: what they do, print, and keep to themselves."""

import re
from datetime import timedelta
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import insert, select

from app.lib import clock
from app.lib.errors import InvalidText
from app.models import RateLimit, User, UserEvent, UserSession
from app.services import roles, users
from app.services.client import COMMAND_LINE
from app.views.labels import EVENTS
from support.actions import (
    EMAIL,
    PASSWORD,
    count,
    create_role,
    create_user,
    enter,
    execute,
    is_logged_in,
    log_in,
    page,
    read,
    register,
    scalars,
    write,
)
from support.app import both_databases, on_mariadb, serving
from support.commands import ADA, CommandLine, run_command
from support.mail_helpers import mails
from support.mariadb_server import free_port
from support.user_agents import FIREFOX

BOB = "bob@example.com"
OTHER_PASSWORD = "another horse battery staple"
UNKNOWN_USER = "Error: There is no account with this e-mail address."
UNKNOWN_ROLE = "Error: There is no role with this name."


async def events_of(app: Quart, email: str = EMAIL) -> list[tuple[str, str, str]]:
    """Return the audit log of an account, oldest first: the event, the IP address, the user agent."""
    found = select(UserEvent).join(User, User.id == UserEvent.user_id).where(User.email == email)
    return [(row.event, row.ip, row.user_agent) for row in await scalars(app, found.order_by(UserEvent.id))]


async def roles_of(app: Quart, email: str) -> list[str]:
    return [str(role) for role in (await read(app, users.get_by_email, email=email)).roles]


# Accounts


async def test_create_opens_an_account_that_can_log_in(
    app: Quart, client: TestClientProtocol, command_line: CommandLine
) -> None:
    printed = command_line.succeed("users", "create", EMAIL, "--name", "Ada Lovelace", typed=f"{PASSWORD}\n")

    assert printed.rstrip().endswith(f"Ada Lovelace <{EMAIL}>")
    assert await events_of(app) == [("registered", COMMAND_LINE.ip, COMMAND_LINE.user_agent)]
    assert (await log_in(client)).status_code == 303


async def test_create_refuses_invalid_input_in_one_line(app: Quart, command_line: CommandLine) -> None:
    await create_user(app, BOB)
    for email, password, reason in [
        ("ada.example.com", PASSWORD, "must have an @-sign"),
        (EMAIL, "short", "Use at least 8 characters"),
        (EMAIL, "", "Use at least 8 characters"),
        (EMAIL, "password123", "most common passwords"),
        ("Bob@Example.com", PASSWORD, "Error: An account with this e-mail address already exists."),
    ]:
        assert reason in command_line.refusal("users", "create", email, typed=f"{password}\n")
    assert command_line.refusal("users", "create", EMAIL, "--name", "x" * 101, typed=f"{PASSWORD}\n")

    assert await count(app, User) == 1


async def test_the_password_is_not_an_argument(app: Quart, command_line: CommandLine) -> None:
    for command in ("create", "set-password"):
        done = command_line.run("users", command, EMAIL, PASSWORD)
        assert (done.exit_code, "unexpected extra argument" in done.stderr) == (2, True)
        assert "--password" not in command_line.succeed("users", command, "--help")
    assert await count(app, User) == 0


@both_databases
async def test_deactivate_ends_all_sessions_and_activate_allows_logins_again(
    app: Quart, client: TestClientProtocol, command_line: CommandLine
) -> None:
    ada, bob = await create_user(app, name="Ada Lovelace"), await create_user(app, BOB)
    await log_in(client)
    await client.post("/reset", form={"email": EMAIL})
    assert await mails(app, "reset")

    command_line.succeed("users", "deactivate", ADA)
    listed = command_line.succeed("users", "list").splitlines()
    assert listed == [f"{ada.id} Ada Lovelace <{EMAIL}> (deactivated)", f"{bob.id} {BOB}"]
    assert not await is_logged_in(client)
    assert not await mails(app, "reset")  # its link does not work any more
    assert (await log_in(client)).status_code == 422

    command_line.succeed("users", "activate", ADA)
    assert not await is_logged_in(client)
    assert (await log_in(client)).status_code == 303


async def test_set_password_ends_the_sessions_of_that_account(
    app: Quart, client: TestClientProtocol, command_line: CommandLine
) -> None:
    await create_user(app)
    await create_user(app, BOB)
    await log_in(client)
    bob = await enter(app, BOB)
    refused = command_line.refusal("users", "set-password", EMAIL, typed="short\n")
    assert (refused, await is_logged_in(client)) == ("Error: Use at least 8 characters.", True)

    command_line.succeed("users", "set-password", ADA, typed=f"{OTHER_PASSWORD}\n")

    assert (await is_logged_in(client), await is_logged_in(bob)) == (False, True)
    assert (await log_in(client)).status_code == 422
    assert (await log_in(client, password=OTHER_PASSWORD)).status_code == 303


async def test_confirm_allows_the_login_of_an_unconfirmed_account(settings: dict[str, Any]) -> None:
    async with serving(settings | {"SECURITY_CONFIRMABLE": True}) as app:
        client = app.test_client()
        await app.extensions["mail_worker"].stop()
        await register(client)
        assert (await log_in(client)).status_code == 422

        CommandLine(settings).succeed("users", "confirm", ADA)

        assert (await log_in(client)).status_code == 303


@on_mariadb
async def test_sessions_lists_the_sessions_of_one_account_or_ends_them(
    app: Quart, client: TestClientProtocol, command_line: CommandLine
) -> None:
    await create_user(app)
    await create_user(app, BOB)
    elsewhere, bob = await enter(app), await enter(app, BOB)
    form, here = {"email": EMAIL, "password": PASSWORD}, {"client": ("192.0.2.7", 4711)}
    await client.post("/login", form=form, headers={"User-Agent": FIREFOX}, scope_base=here)

    lines = command_line.succeed("users", "sessions", ADA).splitlines()
    assert len(lines) == 2
    firefox = next(line for line in lines if "Firefox" in line)
    assert re.fullmatch(r"\d+ Firefox on Linux, last seen \d{4}-\d\d-\d\d \d\d:\d\d UTC from 192\.0\.2\.7", firefox)

    command_line.succeed("users", "sessions", ADA, "--end")
    assert [await is_logged_in(browser) for browser in (client, elsewhere, bob)] == [False, False, True]


@on_mariadb
async def test_delete_asks_first_then_deletes_everything_and_sends_a_farewell(
    app: Quart, client: TestClientProtocol, command_line: CommandLine
) -> None:
    await register(client)
    await app.test_client().post("/reset", form={"email": EMAIL})
    await create_user(app, BOB)
    assert command_line.run("users", "delete", EMAIL, typed="n\n").exit_code == 1
    assert await count(app, User) == 2

    command_line.succeed("users", "delete", ADA, "--yes")

    assert [(mail.template, mail.recipient) for mail in await mails(app)] == [("account_deleted", EMAIL)]
    assert (await count(app, User), await count(app, UserSession)) == (1, 0)
    assert not await is_logged_in(client)


# Roles


@both_databases
async def test_a_role_is_created_given_taken_listed_and_deleted(app: Quart, command_line: CommandLine) -> None:
    ada, bob = await create_user(app, name="Ada Lovelace"), await create_user(app, BOB)
    command_line.succeed("roles", "create", "editor")
    command_line.succeed("roles", "create", "admin", "--description", "May do everything")
    for name, email in [("admin", ADA), ("admin", ADA), ("admin", BOB), ("editor", BOB), ("editor", ADA)]:
        command_line.succeed("users", "add-role", email, name)  # a second time changes nothing
    command_line.succeed("users", "remove-role", ADA, "editor")

    assert command_line.succeed("roles", "list") == "admin: May do everything\neditor\n"
    assert command_line.succeed("roles", "show", "admin") == f"{ada.id} Ada Lovelace <{EMAIL}>\n{bob.id} {BOB}\n"
    assert command_line.run("roles", "delete", "admin", typed="\n").exit_code == 1
    command_line.succeed("roles", "delete", "admin", "--yes")

    assert (await roles_of(app, EMAIL), await roles_of(app, BOB)) == ([], ["editor"])
    events = [event for event, *_ in await events_of(app)]
    assert events == ["role_added", "role_added", "role_removed", "role_removed"]


async def test_a_role_for_an_unconfirmed_account_gets_a_warning(app: Quart, command_line: CommandLine) -> None:
    await create_user(app)
    await create_role(app, "admin")

    outputs = [command_line.run("users", "add-role", EMAIL, "admin", SECURITY_CONFIRMABLE=on) for on in (True, False)]
    assert ["Warning: the e-mail address is not confirmed" in output.stderr for output in outputs] == [True, False]
    assert await roles_of(app, EMAIL) == ["admin"]


async def test_the_name_of_a_role_is_unique_and_one_line_of_text(app: Quart, command_line: CommandLine) -> None:
    await create_role(app, "admin")

    assert command_line.refusal("roles", "create", "admin") == "Error: A role with this name already exists."
    assert command_line.refusal("roles", "create", "x" * 31)
    for name in ("", " ", "admin ", "two\nlines", "bell\a"):
        with pytest.raises(InvalidText):
            await write(app, roles.create, name=name)
    assert len(await read(app, roles.list_all)) == 1


async def test_an_unknown_account_or_role_is_refused_in_one_line(app: Quart, command_line: CommandLine) -> None:
    await create_user(app)
    await create_role(app, "admin")

    for words in ("show", "confirm", "deactivate", "set-password", "sessions --end", "delete --yes", "add-role admin"):
        verb, *more = words.split()
        assert command_line.refusal("users", verb, BOB, *more, typed=f"{PASSWORD}\n") == UNKNOWN_USER, words
    for words in (f"users add-role {EMAIL} owner", "roles show Admin", "roles delete owner --yes"):
        assert command_line.refusal(*words.split()) == UNKNOWN_ROLE, words
    assert (await count(app, User), await events_of(app)) == (1, [])


@on_mariadb
async def test_bytes_that_are_not_text_are_refused_in_one_line(app: Quart, command_line: CommandLine) -> None:
    assert command_line.refusal("users", "sessions", "\udcff@example.com") == UNKNOWN_USER
    assert command_line.refusal("roles", "show", "\udcff").startswith("Error: ")


# The audit log, and the log


CHANGES = [  # what is typed, and its event
    (("users", "confirm", ADA), "email_confirmed"),
    (("users", "deactivate", ADA), "deactivated"),
    (("users", "activate", ADA), "activated"),
    (("users", "set-password", ADA), "password_changed"),
    (("users", "sessions", ADA, "--end"), "sessions_ended"),
    (("users", "add-role", ADA, "admin"), "role_added"),
    (("users", "remove-role", ADA, "admin"), "role_removed"),
    (("roles", "delete", "editor", "--yes"), "role_removed"),
]


@pytest.fixture
async def ada(app: Quart) -> User:
    """Return one of two users."""
    user = await create_user(app)
    await create_user(app, BOB)
    await create_role(app, "editor", EMAIL)
    await create_role(app, "admin", BOB)
    return user


@both_databases
async def test_each_change_is_an_event_of_that_account_and_a_line_of_the_log(
    app: Quart, client: TestClientProtocol, command_line: CommandLine, ada: User
) -> None:
    hers, his = await events_of(app), await events_of(app, BOB)

    for words, event in CHANGES:
        done = command_line.run(*words, typed=f"{OTHER_PASSWORD}\n")
        assert (done.exit_code, done.stdout) == (0, "")
        hers += [(event, COMMAND_LINE.ip, COMMAND_LINE.user_agent)]
        assert (await events_of(app), await events_of(app, BOB)) == (hers, his), words
        line = done.stderr.splitlines()[-1]
        logged = f"{event} user={ada.id}" if words[0] == "users" else "role_deleted role=editor"
        assert logged in line
        assert line.endswith('by="command line"')
        assert "@" not in line

    await log_in(client, password=OTHER_PASSWORD)
    shown = await page(client, "/account/activity")
    assert all(f"<strong>{EVENTS[event]}</strong>" in shown for _, event in CHANGES)
    assert shown.count("Command line of the site") == len(hers)


# What support needs to know


@both_databases
async def test_purge_deletes_expired_rows_and_prints_how_many(app: Quart, command_line: CommandLine) -> None:
    user = await create_user(app)
    expired = {"user_id": user.id, "event": "logged_in", "ip": "", "user_agent": "", "expires_on": clock.now()}
    await execute(app, insert(UserEvent).values([expired] * 1200))
    await execute(app, insert(RateLimit).values(key="x", used=1, resets_on=clock.now() + timedelta(hours=1)))

    assert command_line.run("purge").stdout == "1200 rows deleted\n"

    assert await events_of(app) == []


def test_a_command_in_a_process_of_its_own(environment: dict[str, str]) -> None:
    created = run_command(environment, "users", "create", EMAIL, typed=f"{PASSWORD}\n")
    refused = run_command(environment, "users", "create", EMAIL, typed=f"{PASSWORD}\n")
    wrong = run_command(environment | {"QUART_WORKERS": "x"}, "users", "list")

    assert (created.returncode, created.stdout) == (0, f"1 {EMAIL}\n")
    assert re.fullmatch(r'\S+ info    registered user=1 by="command line"\n', created.stderr)
    assert (refused.returncode, refused.stderr) == (1, "Error: An account with this e-mail address already exists.\n")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr == "Cannot start: WORKERS is 'x': write a whole number from 1 to 1000\n"


def test_an_unreachable_database_is_named_without_its_password(command_line: CommandLine) -> None:
    uri = f"mysql+aiomysql://root:a-secret@127.0.0.1:{free_port()}/app"
    for words in (["check"], ["users", "list"]):
        line = command_line.refusal(*words, SQLALCHEMY_DATABASE_URI=uri)
        assert "Can't connect to MySQL server on '127.0.0.1'" in line
        assert "a-secret" not in line


def test_an_empty_database_is_named_with_the_command_that_fills_it(command_line: CommandLine) -> None:
    for words in (["check"], ["users", "list"]):
        line = command_line.refusal(*words, SQLALCHEMY_DATABASE_URI="sqlite:///empty.db")
        assert line.startswith("Error: the database is empty")
        assert line.endswith("run `alembic upgrade head`")
