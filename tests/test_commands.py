"""The commands for accounts and roles, as an administrator types them: what they do, say, and keep to themselves."""

import re
from datetime import timedelta
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Mail, Throttle, User, UserEvent, UserSession, UserToken, clock, db
from app.models.user_token import Purpose
from app.services import accounts, links, notices, roles
from app.services.activity import COMMAND_LINE, Origin
from app.words import EVENTS
from conftest import serving
from letters_read import mails
from people import EMAIL, PASSWORD, cookie_of, count, create_user, execute, is_logged_in, log_in, page, register
from test_cli import ADA, Commands, commands, environment

__all__ = ["commands", "environment"]  # fixtures

BOB = "bob@example.com"
OTHER_PASSWORD = "another horse battery staple"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
UNKNOWN_USER = "Error: There is no account with this address."
UNKNOWN_ROLE = "Error: There is no role of this name."

on_sqlite = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
on_mariadb = pytest.mark.parametrize("database_uri", ["mariadb"], indirect=True)


async def happened(app: Quart, email: str = EMAIL) -> list[tuple[str, str, str]]:
    """Return what happened to an account, the oldest first: what, on which machine, by which program."""

    async def query(session: AsyncSession) -> list[tuple[str, str, str]]:
        user = await accounts.get_by_email(session, email=email)
        theirs = select(UserEvent).where(UserEvent.user_id == user.id).order_by(UserEvent.id)
        return [(row.event, row.ip, row.user_agent) for row in await session.scalars(theirs)]

    async with app.app_context():
        return await db.read(query)


async def make_role(app: Quart, name: str, *emails: str) -> None:
    async with app.app_context():
        await db.write(roles.create, name=name)
        for email in emails:
            await db.write(roles.add_to_user, email=email, role_name=name)


async def roles_of(app: Quart, email: str) -> list[str]:
    async with app.app_context():
        return [str(role) for role in (await db.read(accounts.get_by_email, email=email)).roles]


# Each change is an event


CHANGES = [  # what is typed, and what happens to the account
    (("users", "confirm", ADA), "confirmed"),
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
    """Return one of two people; both are editors."""
    user = await create_user(app)
    await create_user(app, BOB)
    await make_role(app, "editor", EMAIL)
    await make_role(app, "admin", BOB)
    return user


@on_sqlite
async def test_each_change_is_told_to_the_owner_of_the_account(
    app: Quart, client: TestClientProtocol, commands: Commands, ada: User
) -> None:
    hers, his = await happened(app), await happened(app, BOB)

    for words, event in CHANGES:
        done = commands.run(*words, typed=f"{OTHER_PASSWORD}\n")
        assert (done.returncode, done.stdout) == (0, ""), words
        hers += [(event, *COMMAND_LINE)]
        assert (await happened(app), await happened(app, BOB)) == (hers, his), words

    await log_in(client, password=OTHER_PASSWORD)
    shown = await page(client, "/account/activity")
    assert all(f"<strong>{EVENTS[event]}</strong>" in shown for _, event in CHANGES)
    assert shown.lower().count("the command line") == len(hers)


@on_sqlite
async def test_each_change_is_one_line_in_the_log_without_an_address(app: Quart, commands: Commands, ada: User) -> None:
    changes = {
        'sessions_ended user={} by="command line"': ("users", "sessions", ADA, "--end"),
        'role_added user={} by="command line" role=admin': ("users", "add-role", ADA, "admin"),
        'role_created role=x by="command line"': ("roles", "create", "x"),
        'role_deleted role=admin by="command line"': ("roles", "delete", "admin", "--yes"),
        'account_deleted user={} by="command line"': ("users", "delete", ADA, "--yes"),
    }

    logged = [commands.run(*words).stderr for words in changes.values()]

    assert [" ".join(line.split()[2:]) for line in logged] == [line.format(ada.id) for line in changes]


@on_sqlite
async def test_an_account_that_is_opened_at_the_command_line_has_a_first_event(app: Quart, commands: Commands) -> None:
    assert commands.run("users", "create", EMAIL, typed=f"{PASSWORD}\n").returncode == 0

    assert await happened(app) == [("signed_up", *COMMAND_LINE)]


@on_sqlite
async def test_a_role_that_somebody_has_already_is_not_given_again(app: Quart, commands: Commands) -> None:
    await create_user(app)
    await make_role(app, "admin", EMAIL)
    before = await happened(app)

    done = commands.run("users", "add-role", EMAIL, "admin")

    assert (done.returncode, await happened(app), await roles_of(app, EMAIL)) == (0, before, ["admin"])


# What each of them does


@on_sqlite
async def test_confirm_lets_somebody_in_whose_mail_never_came(settings: dict[str, Any], commands: Commands) -> None:
    async with serving(settings | {"SECURITY_CONFIRMABLE": True}) as app:
        client = app.test_client()
        await app.extensions["mailer"].stop()  # commands block this event loop, which must hold no transaction then
        await register(client)
        assert (await log_in(client)).status_code == 422

        assert commands.run("users", "confirm", ADA).returncode == 0

        assert (await log_in(client)).status_code == 303


async def test_sessions_lists_the_browsers_of_one_account(
    app: Quart, client: TestClientProtocol, commands: Commands
) -> None:
    await create_user(app, BOB)
    await log_in(app.test_client(), email=BOB)
    await create_user(app)
    form, here = {"email": EMAIL, "password": PASSWORD}, {"client": ("192.0.2.7", 4711)}
    await client.post("/login", form=form, headers={"User-Agent": FIREFOX}, scope_base=here)
    await log_in(app.test_client())

    lines = commands.succeed("users", "sessions", ADA).splitlines()

    assert len(lines) == 2
    firefox = next(line for line in lines if "Firefox" in line)
    assert re.fullmatch(r"\d+ Firefox on Linux, last seen \d{4}-\d\d-\d\d \d\d:\d\d UTC from 192\.0\.2\.7", firefox)


@on_mariadb
async def test_sessions_end_puts_everybody_out_of_that_account(
    app: Quart, client: TestClientProtocol, commands: Commands
) -> None:
    await register(client)
    elsewhere, bob = app.test_client(), app.test_client()
    await log_in(elsewhere)
    await register(bob, email=BOB)

    assert commands.run("users", "sessions", ADA, "--end").returncode == 0

    assert [await is_logged_in(browser) for browser in (client, elsewhere, bob)] == [False, False, True]
    assert (await log_in(client)).status_code == 303


@on_mariadb
async def test_delete_takes_everything_and_says_good_bye(
    app: Quart, client: TestClientProtocol, commands: Commands
) -> None:
    await register(client)
    await app.test_client().post("/reset", form={"email": EMAIL})
    await create_user(app, BOB)

    assert commands.run("users", "delete", ADA, "--yes").returncode == 0

    assert [(mail.template, mail.recipient) for mail in await mails(app)] == [("account_deleted", EMAIL)]
    assert await count(app, User) == 1
    assert await count(app, UserSession) == 0
    assert not await is_logged_in(client)


@on_sqlite
async def test_delete_asks_first(app: Quart, commands: Commands) -> None:
    await create_user(app)
    await make_role(app, "admin", EMAIL)

    user = commands.run("users", "delete", EMAIL, typed="n\n")
    role = commands.run("roles", "delete", "admin", typed="\n")

    assert (user.returncode, role.returncode) == (1, 1)
    assert "Delete the account with everything in it?" in user.stdout
    assert "Delete the role, and take it from everybody who has it?" in role.stdout
    assert (await count(app, User), await roles_of(app, EMAIL)) == (1, ["admin"])


@on_mariadb
async def test_a_role_is_shown_and_deleted_with_all_who_have_it(app: Quart, commands: Commands) -> None:
    ada, bob = await create_user(app, name="Ada Lovelace"), await create_user(app, BOB)
    await make_role(app, "admin", EMAIL, BOB)
    await make_role(app, "editor", BOB)

    assert commands.succeed("roles", "show", "admin") == f"{ada.id} Ada Lovelace <{EMAIL}>\n{bob.id} {BOB}\n"
    assert commands.run("roles", "delete", "admin", "--yes").returncode == 0

    assert (await roles_of(app, EMAIL), await roles_of(app, BOB)) == ([], ["editor"])
    assert [event[0] for event in await happened(app)] == ["role_added", "role_removed"]


async def test_sweep_deletes_what_has_expired_and_says_how_much(app: Quart, commands: Commands) -> None:
    user = await create_user(app)
    expired = {"user_id": user.id, "event": "logged_in", "ip": "", "user_agent": "", "expires_on": clock.now()}
    await execute(app, insert(UserEvent).values([expired] * 1200))
    await execute(app, insert(Throttle).values(key="x", used=1, resets_on=clock.now() + timedelta(hours=1)))

    assert commands.run("sweep").stdout == "1200 rows deleted\n"

    assert await happened(app) == []


# What support needs to know, and nobody


async def live(app: Quart) -> TestClientProtocol:
    """Have somebody with browsers, links, mails, roles and a history; return one of their browsers."""
    client = app.test_client()
    await register(client)
    await client.post("/account", form={"name": "Ada Lovelace", "phone": "+49 30 1234567"})
    await log_in(app.test_client())
    await make_role(app, "editor", EMAIL)
    await make_role(app, "admin", EMAIL)

    async def unit(session: AsyncSession) -> None:
        user = await accounts.get_by_email(session, email=EMAIL)
        for purpose, template in ((Purpose.RESET, "reset"), (Purpose.NOT_ME, "password_changed")):
            await links.mail(session, user, purpose, template, facts=notices.circumstances(Origin("", "")))

    async with app.app_context():
        await db.write(unit)
    return client


def facts(printed: str) -> dict[str, str]:
    """Return what `users show` says, by name; of a fact with several lines they follow each other."""
    _, *parts = re.split(r"^(\w+): *", printed, flags=re.MULTILINE)
    lines = ["\n".join(line.strip() for line in fact.splitlines()) for fact in parts[1::2]]
    return dict(zip(parts[::2], lines, strict=True))


async def test_show_tells_what_support_is_asked(app: Quart, commands: Commands) -> None:
    await live(app)
    await execute(app, update(Mail).where(Mail.template == "reset").values(sent_on=clock.now(), due_on=None))
    failed = update(Mail).where(Mail.template == "password_changed")
    await execute(app, failed.values(error="SMTPDataError: (550, 'No')", due_on=None))

    told = facts(commands.succeed("users", "show", ADA))

    assert (told["name"], told["email"], told["phone"]) == ("Ada Lovelace", EMAIL, "+49301234567")
    assert (told["confirmed"], told["active"], told["roles"]) == ("no", "yes", "admin, editor")
    assert re.fullmatch(r"2, last seen \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+00:00", told["browsers"])
    said = [line.split("+00:00 ")[1] for line in told["mails"].splitlines()]
    assert said[:2] == ["password_changed: SMTPDataError: (550, 'No')", "reset: sent"]
    happened_ = [line.split("+00:00 ")[1] for line in told["activity"].splitlines()]
    assert happened_ == ["role_added", "role_added", "logged_in", "phone_changed", "signed_up"]


@on_sqlite
async def test_show_tells_the_latest_five_of_each(app: Quart, commands: Commands) -> None:
    user = await create_user(app)
    now = clock.now()
    event = {"user_id": user.id, "ip": "", "user_agent": "", "created_on": now, "expires_on": now + timedelta(days=1)}
    mail = {"user_id": user.id, "recipient": EMAIL, "facts": {}, "expires_on": now + timedelta(days=1)}
    await execute(app, insert(UserEvent).values([event | {"event": f"e{number}"} for number in range(7)]))
    await execute(app, insert(Mail).values([mail | {"template": f"m{number}", "due_on": None} for number in range(7)]))

    told = facts(commands.succeed("users", "show", EMAIL))

    assert re.findall(r"e\d", told["activity"]) == ["e6", "e5", "e4", "e3", "e2"]
    assert re.findall(r"m\d", told["mails"]) == ["m6", "m5", "m4", "m3", "m2"]


@on_sqlite
async def test_what_a_mail_server_said_cannot_look_like_a_line_of_ours(app: Quart, commands: Commands) -> None:
    user = await create_user(app)
    mail = {"user_id": user.id, "template": "welcome", "recipient": EMAIL, "facts": {}, "due_on": None}
    evil = mail | {"expires_on": clock.now() + timedelta(days=1), "error": "no\nroles:   admin\x1b[2J"}
    await execute(app, insert(Mail).values(evil))

    printed = commands.succeed("users", "show", EMAIL)

    assert facts(printed)["roles"] == ""
    assert "\x1b" not in printed


@on_sqlite
async def test_no_secret_and_no_hash_is_printed(app: Quart, commands: Commands) -> None:
    client = await live(app)
    secrets = await secrets_of(app, client)
    assert len(secrets) >= 8

    looks = [commands.run("users", verb, EMAIL) for verb in ("show", "sessions")]
    looks += [commands.run("users", "set-password", EMAIL, typed=f"{OTHER_PASSWORD}\n")]

    printed = "".join(done.stdout + done.stderr for done in looks)
    assert EMAIL in printed
    assert not [secret for secret in [*secrets, PASSWORD, OTHER_PASSWORD, "$argon2"] if secret in printed]


async def secrets_of(app: Quart, client: TestClientProtocol) -> list[str]:
    """Return whatever would let somebody in, or help them to."""
    wanted = (User.password, UserSession.digest, UserToken.digest, Mail.secret)

    async def query(session: AsyncSession) -> list[str]:
        return [secret for column in wanted for secret in await session.scalars(select(column)) if secret]

    async with app.app_context():
        return [cookie_of(client), *await db.read(query)]


# What cannot be


@on_sqlite
async def test_an_account_that_there_is_not_is_named_in_a_line(app: Quart, commands: Commands) -> None:
    await create_user(app)

    for words in (("confirm", BOB), ("sessions", BOB), ("sessions", BOB, "--end"), ("delete", BOB, "--yes")):
        assert commands.refusal("users", *words) == UNKNOWN_USER
    assert (await count(app, User), await happened(app)) == (1, [])


@on_sqlite
async def test_a_role_that_there_is_not_is_named_in_a_line(app: Quart, commands: Commands) -> None:
    await make_role(app, "admin")

    assert commands.refusal("roles", "show", "Admin") == UNKNOWN_ROLE
    assert commands.refusal("roles", "delete", "admin ", "--yes") == UNKNOWN_ROLE


@on_mariadb
async def test_bytes_that_are_no_text_are_refused_in_a_line(app: Quart, commands: Commands) -> None:
    assert commands.refusal("users", "sessions", "\udcff@example.com") == UNKNOWN_USER
    assert commands.refusal("roles", "show", "\udcff").startswith("Error: ")
