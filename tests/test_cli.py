"""The commands as an administrator types them, each in a process of its own, on both databases."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest
from quart import Quart
from quart.typing import TestClientProtocol

from app.models import User, db
from app.services import roles
from app.services.refusals import NotALine
from conftest import ROOT
from mariadb_server import MariaDB, free_port
from people import EMAIL, PASSWORD, count, create_user, is_logged_in, log_in
from terminals import PATIENCE, terminal_with

QUART = str(Path(sys.executable).with_name("quart"))
ADA = "Ada@Example.com"  # the same address to us, not the same text
OTHER_PASSWORD = "another horse battery staple"

# pexpect forks, which Python 3.12 warns of where there are threads. Its child starts another program at once.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
on_sqlite = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)


@pytest.fixture
def environment(settings: dict[str, Any]) -> dict[str, str]:
    """Return our environment with the settings of the test and no others."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("QUART_")}
    return others | {f"QUART_{key}": value for key, value in settings.items()}


class Commands:
    """Type `quart --app run …`."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment

    def run(self, *words: str, typed: str = "", **settings: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [QUART, "--app", "run", *words],
            cwd=ROOT,
            env=self.environment | {f"QUART_{key}": value for key, value in settings.items()},
            input=typed,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    def succeed(self, *words: str, typed: str = "") -> str:
        """Return what the command printed."""
        done = self.run(*words, typed=typed)
        strange = [
            line for line in done.stderr.splitlines() if 'by="command line"' not in line
        ]  # what was done is a line
        assert (done.returncode, strange) == (0, [])
        return done.stdout

    def refusal(self, *words: str, typed: str = "", **settings: str) -> str:
        """Return the line that says what was wrong."""
        done = self.run(*words, typed=typed, **settings)
        assert (done.returncode, done.stdout) == (1, "")
        (line,) = done.stderr.splitlines()
        return line


@pytest.fixture
async def commands(request: pytest.FixtureRequest, environment: dict[str, str]) -> Commands:
    """While a command runs, this process stands still: its mailer must not be in the middle of something."""
    if "app" in request.fixturenames:
        await request.getfixturevalue("app").extensions["mailer"].stop()
    return Commands(environment)


async def create_role(app: Quart, name: str) -> None:
    async with app.app_context():
        await db.write(roles.create, name=name)


async def count_roles(app: Quart) -> int:
    async with app.app_context():
        return len(await db.read(roles.list_all))


@pytest.fixture
def terminal(environment: dict[str, str]) -> Iterator["pexpect.spawn[str]"]:
    """Return a terminal at which an account is being created."""
    child = terminal_with([QUART, "--app", "run", "users", "create", EMAIL], environment)
    yield child
    child.close(force=True)


def answer(terminal: "pexpect.spawn[str]", prompt: str, typed: str) -> None:
    terminal.expect(prompt)
    terminal.waitnoecho(PATIENCE)
    terminal.sendline(typed)


def rest_of(terminal: "pexpect.spawn[str]") -> str:
    """Return what the command says from here to its end, and wait for its exit code."""
    terminal.expect(pexpect.EOF)
    terminal.close()
    return str(terminal.before)


async def test_create_opens_an_account_that_can_log_in(
    app: Quart, client: TestClientProtocol, commands: Commands
) -> None:
    printed = commands.succeed("users", "create", EMAIL, "--name", "Ada Lovelace", typed=f"{PASSWORD}\n")

    assert printed.rstrip().endswith(f"Ada Lovelace <{EMAIL}>")
    await log_in(client)
    assert await is_logged_in(client)


async def test_an_address_is_taken_in_any_case(app: Quart, commands: Commands) -> None:
    await create_user(app)

    line = commands.refusal("users", "create", ADA, typed=f"{PASSWORD}\n")

    assert line == "Error: There is an account with this address."
    assert await count(app, User) == 1


@on_sqlite
@pytest.mark.parametrize(
    ("email", "password", "said"),
    [
        ("ada.example.com", PASSWORD, "must have an @-sign"),
        (EMAIL, "short", "8 characters or more"),
        (EMAIL, "", "8 characters or more"),
        (EMAIL, "password123", "most common passwords"),
    ],
)
async def test_create_refuses_what_cannot_be(
    app: Quart, commands: Commands, email: str, password: str, said: str
) -> None:
    assert said in commands.refusal("users", "create", email, typed=f"{password}\n")
    assert await count(app, User) == 0


@pytest.mark.parametrize(
    "words",
    [("users", "create", EMAIL, "--name", "x" * 101), ("roles", "create", "x" * 31)],
    ids=lambda words: " ".join(words)[:40],
)
def test_what_a_column_cannot_hold_is_refused_in_a_line(commands: Commands, words: tuple[str, ...]) -> None:
    commands.refusal(*words, typed=f"{PASSWORD}\n")


async def test_list_names_everybody(app: Quart, commands: Commands) -> None:
    ada = await create_user(app, name="Ada Lovelace")
    bob = await create_user(app, "bob@example.com", active=False)

    lines = commands.succeed("users", "list").splitlines()

    assert lines == [f"{ada.id} Ada Lovelace <{EMAIL}>", f"{bob.id} bob@example.com (deactivated)"]


async def test_show_tells_what_is_known(app: Quart, commands: Commands) -> None:
    ada = await create_user(app, name="Ada Lovelace")

    facts = dict(line.split(":", maxsplit=1) for line in commands.succeed("users", "show", ADA).splitlines())

    assert ada.created_on is not None
    assert {name: fact.strip() for name, fact in facts.items()} == {
        "id": str(ada.id),
        "name": "Ada Lovelace",
        "email": EMAIL,
        "phone": "",
        "created": str(ada.created_on.replace(microsecond=0)),
        "confirmed": "no",
        "active": "yes",
        "roles": "",
        "password": "argon2",
        "browsers": "0",
        "mails": "",
        "activity": "",
    }


async def test_deactivate_puts_everybody_out_and_activate_lets_them_in_again(
    app: Quart, client: TestClientProtocol, commands: Commands
) -> None:
    await create_user(app)
    await log_in(client)

    commands.succeed("users", "deactivate", ADA)
    assert not await is_logged_in(client)
    assert (await log_in(client)).status_code == 422

    commands.succeed("users", "activate", ADA)
    assert not await is_logged_in(client)
    assert (await log_in(client)).status_code == 303


async def test_set_password_ends_the_log_ins_of_that_account(
    app: Quart, client: TestClientProtocol, commands: Commands
) -> None:
    await create_user(app)
    await create_user(app, "bob@example.com")
    bobs_client = app.test_client()
    await log_in(client)
    await log_in(bobs_client, email="bob@example.com")

    commands.succeed("users", "set-password", ADA, typed=f"{OTHER_PASSWORD}\n")

    assert not await is_logged_in(client)
    assert await is_logged_in(bobs_client)
    assert (await log_in(client)).status_code == 422
    assert (await log_in(client, password=OTHER_PASSWORD)).status_code == 303


async def test_a_refused_password_leaves_the_old_one(
    app: Quart, client: TestClientProtocol, commands: Commands
) -> None:
    await create_user(app)
    await log_in(client)

    assert commands.refusal("users", "set-password", EMAIL, typed="short\n") == "Error: Use 8 characters or more."
    assert await is_logged_in(client)


@pytest.mark.parametrize("verb", ["show", "activate", "deactivate", "set-password"])
@on_sqlite
def test_a_stranger_is_named_as_one(commands: Commands, verb: str) -> None:
    line = commands.refusal("users", verb, "nobody@example.com", typed=f"{PASSWORD}\n")

    assert line == "Error: There is no account with this address."


async def test_a_role_comes_and_goes(app: Quart, commands: Commands) -> None:
    await create_user(app)

    commands.succeed("roles", "create", "admin", "--description", "May do everything")
    commands.succeed("users", "add-role", ADA, "admin")
    assert "roles:   admin" in commands.succeed("users", "show", EMAIL).splitlines()

    commands.succeed("users", "remove-role", ADA, "admin")
    assert "roles:" in commands.succeed("users", "show", EMAIL).splitlines()
    assert commands.succeed("roles", "list") == "admin: May do everything\n"


async def test_roles_are_listed_by_name(app: Quart, commands: Commands) -> None:
    await create_role(app, "editor")
    await create_role(app, "admin")

    assert commands.succeed("roles", "list") == "admin\neditor\n"


async def test_a_role_is_taken(app: Quart, commands: Commands) -> None:
    await create_role(app, "admin")

    assert commands.refusal("roles", "create", "admin") == "Error: There is a role of this name."
    assert await count_roles(app) == 1


@on_sqlite
@pytest.mark.parametrize("verb", ["add-role", "remove-role"])
async def test_a_role_or_an_account_that_there_is_not(app: Quart, commands: Commands, verb: str) -> None:
    await create_user(app)
    await create_role(app, "admin")

    assert commands.refusal("users", verb, EMAIL, "owner") == "Error: There is no role of this name."
    assert commands.refusal("users", verb, "bob@example.com", "admin") == (
        "Error: There is no account with this address."
    )


@on_sqlite
@pytest.mark.parametrize("command", ["create", "set-password"])
async def test_a_password_is_never_an_argument(app: Quart, commands: Commands, command: str) -> None:
    done = commands.run("users", command, EMAIL, PASSWORD)

    assert done.returncode == 2
    assert "unexpected extra argument" in done.stderr
    assert "--password" not in commands.succeed("users", command, "--help")
    assert await count(app, User) == 0


async def test_a_person_is_asked_for_the_password_twice_and_it_is_not_shown(
    app: Quart, client: TestClientProtocol, terminal: "pexpect.spawn[str]"
) -> None:
    answer(terminal, "Password: ", PASSWORD)
    answer(terminal, "Repeat for confirmation: ", PASSWORD)

    printed = rest_of(terminal)
    assert terminal.exitstatus == 0
    assert printed.rstrip().endswith(EMAIL)
    assert PASSWORD not in printed
    assert (await log_in(client)).status_code == 303


@on_sqlite
async def test_two_passwords_that_differ_open_no_account(app: Quart, terminal: "pexpect.spawn[str]") -> None:
    answer(terminal, "Password: ", PASSWORD)
    answer(terminal, "Repeat for confirmation: ", OTHER_PASSWORD)

    terminal.expect("do not match.*Password: ")
    terminal.sendeof()

    assert rest_of(terminal).strip() == "Aborted!"
    assert terminal.exitstatus == 1
    assert await count(app, User) == 0


@on_sqlite
async def test_ctrl_c_at_the_prompt_ends_the_command(app: Quart, terminal: "pexpect.spawn[str]") -> None:
    terminal.expect("Password: ")
    terminal.waitnoecho(PATIENCE)
    terminal.sendintr()

    terminal.expect(pexpect.EOF, timeout=5)
    terminal.close()
    assert terminal.exitstatus == 1
    assert await count(app, User) == 0


@on_sqlite
def test_a_prompted_password_is_refused_in_a_line(terminal: "pexpect.spawn[str]") -> None:
    answer(terminal, "Password: ", "short")
    answer(terminal, "Repeat for confirmation: ", "short")

    assert rest_of(terminal).strip() == "Error: Use 8 characters or more."
    assert terminal.exitstatus == 1


@on_sqlite
@pytest.mark.parametrize("words", [("check",), ("users", "list")], ids=" ".join)
def test_a_wrong_setting_is_named(commands: Commands, words: tuple[str, ...]) -> None:
    assert "WORKERS is 'x'" in commands.refusal(*words, WORKERS="x")


@on_sqlite
@pytest.mark.parametrize("words", [("check",), ("users", "list"), ("users", "create", EMAIL)], ids=" ".join)
def test_a_database_that_is_away_is_named(commands: Commands, words: tuple[str, ...]) -> None:
    uri = f"mysql+aiomysql://root:a-secret@127.0.0.1:{free_port()}/app"

    line = commands.refusal(*words, typed=f"{PASSWORD}\n", SQLALCHEMY_DATABASE_URI=uri)

    assert "Can't connect to MySQL server on '127.0.0.1'" in line
    assert "a-secret" not in line


@pytest.fixture(params=["sqlite", "mariadb"])
def empty_uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the address of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/empty.db"
    mariadb: MariaDB = request.getfixturevalue("mariadb")
    return mariadb.create_database("empty")


@on_sqlite
def test_check_asks_for_the_migrations(commands: Commands, empty_uri: str) -> None:
    line = commands.refusal("check", SQLALCHEMY_DATABASE_URI=empty_uri)

    assert line.startswith("Error: the database is empty")
    assert line.endswith("run `alembic upgrade head`")


@on_sqlite
@pytest.mark.parametrize(
    "words", [("users", "list"), ("users", "create", EMAIL), ("roles", "create", "admin")], ids=" ".join
)
def test_a_schema_that_is_behind_is_said_in_a_line(commands: Commands, empty_uri: str, words: tuple[str, ...]) -> None:
    commands.refusal(*words, typed=f"{PASSWORD}\n", SQLALCHEMY_DATABASE_URI=empty_uri)


@pytest.mark.parametrize("name", ["", " ", "admin ", "two\nlines", "bell\a"])
async def test_a_role_is_named_by_one_line_of_text(app: Quart, name: str) -> None:
    async with app.app_context():
        with pytest.raises(NotALine):
            await db.write(roles.create, name=name)
