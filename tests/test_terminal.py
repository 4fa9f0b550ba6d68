"""What needs a terminal: the prompt for a password, and the shell of a developer."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from quart import Quart
from quart.typing import TestClientProtocol

from app.models import User
from support.actions import EMAIL, PASSWORD, count, create_user, log_in
from support.app import both_databases
from support.commands import QUART
from support.terminals import Terminal, plain

COUNT = "await session.scalar(select(func.count(User.id)))"

# The prompt


@pytest.fixture
def terminal(environment: dict[str, str]) -> Iterator[Terminal]:
    """Return a terminal at which an account is being created."""
    child = Terminal([QUART, "--app", "run", "users", "create", EMAIL], environment)
    yield child
    child.end()


def type_at(terminal: Terminal, prompt: str, typed: str) -> None:
    terminal.expect(prompt)
    terminal.wait_no_echo()
    terminal.sendline(typed)


async def test_a_password_is_typed_twice_and_not_shown(
    app: Quart, client: TestClientProtocol, terminal: Terminal
) -> None:
    type_at(terminal, "Password: ", PASSWORD)
    type_at(terminal, "Repeat for confirmation: ", PASSWORD)

    printed = terminal.read_to_the_end()
    assert (terminal.exitstatus, printed.endswith(EMAIL), PASSWORD in printed) == (0, True, False)
    assert (await log_in(client)).status_code == 303


async def test_two_passwords_that_differ_open_no_account_and_ctrl_c_ends_the_command(
    app: Quart, terminal: Terminal
) -> None:
    type_at(terminal, "Password: ", PASSWORD)
    type_at(terminal, "Repeat for confirmation: ", "another horse battery staple")
    terminal.expect("do not match.*Password: ")
    terminal.wait_no_echo()
    terminal.press_ctrl_c()

    assert terminal.read_to_the_end().endswith("Aborted!")
    assert (terminal.exitstatus, await count(app, User)) == (1, 0)


# The shell


class Shell:
    """`quart --app run shell` with every warning shown."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        command = [sys.executable, "-W", "default", QUART, "--app", "run", "shell"]
        more = {"NO_COLOR": "1", "IPYTHONDIR": str(folder / "ipython")}
        self.terminal = Terminal(command, environment | more, lines=50)
        self.line = 1
        self.banner = self.printed_until_the_prompt()

    def type(self, line: str) -> str:
        """Type a line, and return what is printed before the next prompt."""
        self.terminal.sendline(line)
        self.line += 1
        return self.printed_until_the_prompt()

    def interrupt_a_sleep(self) -> str:
        self.terminal.sendline('import asyncio; print("asleep"); await asyncio.sleep(30)')
        self.terminal.expect("\nasleep")
        time.sleep(0.5)  # "asleep" is printed before the sleep begins
        self.terminal.press_ctrl_c()
        self.line += 1
        return self.printed_until_the_prompt()

    def printed_until_the_prompt(self) -> str:
        self.terminal.expect(rf"In \[{self.line}\]: ")
        before = plain(self.terminal.before)
        self.terminal.wait_no_echo()  # from then on IPython reads, and not the terminal
        return before


@pytest.fixture
def shell(environment: dict[str, str], tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(environment, tmp_path)
    yield shell
    shell.terminal.end()


@both_databases
async def test_the_shell_awaits_reads_and_writes_and_leaves_nothing_behind(app: Quart, shell: Shell) -> None:
    await create_user(app, name="Ada Lovelace")
    assert COUNT in shell.banner

    assert shell.type("await db.read(users.list_all)").endswith(f"[Ada Lovelace <{EMAIL}>]")
    assert shell.type('await db.write(roles.create, name="editor")').endswith("Out[2]: editor")
    assert shell.type(COUNT).endswith("Out[3]: 1")
    names = "app, db, session, models, services, users, roles, User, Role, UserRole, UserSession, select, func"
    assert "Error" not in shell.type(names)

    shell.terminal.send("\x04")
    shell.terminal.expect("really want to exit.*[?]")
    shell.terminal.sendline("y")
    assert len(shell.terminal.read_to_the_end().split("\n")) == 1  # the echo of what was typed
    assert (shell.terminal.exitstatus, await count(app, User)) == (0, 1)


def test_ctrl_c_ends_what_is_awaited_and_not_the_shell(shell: Shell) -> None:
    assert "KeyboardInterrupt" in shell.interrupt_a_sleep()
    assert shell.type(COUNT).endswith("Out[2]: 0")
    assert shell.type("await asyncio.sleep(0, len(asyncio.all_tasks()))").endswith("Out[3]: 1")

    shell.terminal.sendline("exit")

    assert len(shell.terminal.read_to_the_end().split("\n")) == 1
    assert shell.terminal.exitstatus == 0
