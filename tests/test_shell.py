"""The shell as a developer uses it, at a terminal: what is at hand, what can be awaited, and how one leaves."""

import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest
from quart import Quart

from people import EMAIL, create_user
from terminals import PATIENCE, terminal_with

QUART = str(Path(sys.executable).with_name("quart"))
COUNT = "await session.scalar(select(func.count(User.id)))"

# pexpect forks, which Python 3.12 warns of where there are threads. Its child starts another program at once.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
on_sqlite = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)


class Shell:
    """`quart --app run shell` with every warning shown."""

    def __init__(self, settings: dict[str, Any], folder: Path) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("QUART_")}
        environment |= {f"QUART_{key}": value for key, value in settings.items()}
        environment |= {"NO_COLOR": "1", "IPYTHONDIR": str(folder / "ipython")}
        command = [sys.executable, "-W", "default", QUART, "--app", "run", "shell"]
        self.terminal = terminal_with(command, environment, lines=50)
        self.line = 1
        self.banner = self.printed_until_the_prompt()

    def type(self, line: str) -> str:
        """Type a line, and return what is printed before the next prompt."""
        self.terminal.sendline(line)
        self.line += 1
        return self.printed_until_the_prompt()

    def fall_asleep(self) -> None:
        self.terminal.sendline('import asyncio; print("asleep"); await asyncio.sleep(30)')
        self.terminal.expect("\nasleep")
        time.sleep(0.5)  # it is said before it is done

    def interrupt(self) -> str:
        self.terminal.sendintr()
        self.line += 1
        return self.printed_until_the_prompt()

    def printed_until_the_prompt(self) -> str:
        self.terminal.expect(rf"In \[{self.line}\]: ")
        before = plain(self.terminal.before)
        self.terminal.waitnoecho(PATIENCE)  # from then on it is IPython that reads, and not the terminal
        return before

    def last_words(self) -> list[str]:
        """Return the lines that are printed from here to the end, and wait for the exit status."""
        self.terminal.expect(pexpect.EOF)
        self.terminal.close()
        return plain(self.terminal.before).split("\n")


def plain(printed: Any) -> str:
    """Return what a person reads: no colours, no movements of the cursor."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", printed).replace("\r", "").strip()


@pytest.fixture
def shell(settings: dict[str, Any], tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(settings, tmp_path)
    yield shell
    shell.terminal.close(force=True)


async def test_the_database_is_awaited_at_the_prompt(app: Quart, shell: Shell) -> None:
    await create_user(app, name="Ada Lovelace")

    assert shell.type(COUNT).endswith("Out[1]: 1")
    assert shell.type("await db.read(accounts.list_all)").endswith(f"[Ada Lovelace <{EMAIL}>]")
    assert shell.type("(await session.scalars(select(User))).all()").endswith(f"[Ada Lovelace <{EMAIL}>]")


@on_sqlite
def test_what_is_written_stays(shell: Shell) -> None:
    written = f'await db.write(accounts.register, email="{EMAIL}", password_hash=None)'

    assert shell.type(written).endswith(f"Out[1]: {EMAIL}")
    assert shell.type(COUNT).endswith("Out[2]: 1")


@on_sqlite
def test_the_banner_says_what_is_at_hand(shell: Shell) -> None:
    assert COUNT in shell.banner
    names = "app, db, session, models, services, accounts, User, Role, UserRole, UserSession, select, func"

    assert "Error" not in shell.type(names)


@on_sqlite
def test_ctrl_c_ends_what_is_awaited_and_not_the_shell(shell: Shell) -> None:
    shell.fall_asleep()

    assert "KeyboardInterrupt" in shell.interrupt()
    assert shell.type(COUNT).endswith("Out[2]: 0")
    assert shell.type("await asyncio.sleep(0, len(asyncio.all_tasks()))").endswith("Out[3]: 1")


@pytest.mark.parametrize(
    ("database_uri", "goodbye"), [("sqlite", "exit"), ("mariadb", "Ctrl-D")], indirect=["database_uri"]
)
def test_leaving_leaves_nothing_behind(shell: Shell, goodbye: str) -> None:
    shell.type(COUNT)
    shell.type("await db.read(accounts.list_all)")

    if goodbye == "Ctrl-D":
        shell.terminal.send("\x04")
        shell.terminal.expect("really want to exit.*[?]")
    shell.terminal.sendline("exit" if goodbye == "exit" else "y")

    assert len(shell.last_words()) == 1  # the echo of what was typed
    assert (shell.terminal.exitstatus, shell.terminal.signalstatus) == (0, None)


@on_sqlite
def test_leaving_after_ctrl_c_leaves_nothing_behind(shell: Shell) -> None:
    shell.fall_asleep()
    shell.interrupt()

    shell.terminal.sendline("exit")

    assert len(shell.last_words()) == 1
    assert shell.terminal.exitstatus == 0
