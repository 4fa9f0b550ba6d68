"""A terminal at which an operator types."""

import os
import re
import subprocess
import sys
import termios
import time

import pexpect
from pexpect.fdpexpect import fdspawn

from support.app import ROOT

TIMEOUT_SECONDS = 60  # a busy machine is slow to start a process
# Makes the terminal that of the process, and replaces the process by the command.
LAUNCH = """
import fcntl, os, signal, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])
"""


class Terminal(fdspawn):  # type: ignore[type-arg] # it takes none at runtime
    """A command at a terminal of its own, where Ctrl-C interrupts: not so below a shell's `make test &`.

    pexpect.spawn() runs Python between fork and exec, which can hang in a process with threads, such as this one.
    """

    def __init__(self, command: list[str], environment: dict[str, str], *, lines: int = 24) -> None:
        controller, terminal = os.openpty()
        termios.tcsetwinsize(controller, (lines, 200))
        self.process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, *command],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            cwd=ROOT,
            env=environment | {"TERM": "dumb"},
            start_new_session=True,
        )
        os.close(terminal)
        super().__init__(controller, encoding="utf-8", timeout=TIMEOUT_SECONDS)

    def wait_no_echo(self) -> None:
        """Wait until the command reads, and not the terminal: it echoes nothing that is typed."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while termios.tcgetattr(self.child_fd)[3] & termios.ECHO:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def press_ctrl_c(self) -> None:
        self.send("\x03")

    def read_to_the_end(self) -> str:
        """Return what is printed from here to the end. Then `exitstatus` is that of the command."""
        self.expect(pexpect.EOF)
        self.exitstatus = self.process.wait(TIMEOUT_SECONDS)
        return plain(self.before)

    def end(self) -> None:
        self.close()
        self.process.kill()
        self.process.wait()


def plain(printed: object) -> str:
    """Return what an operator reads: no colours, no movements of the cursor."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", str(printed)).replace("\r", "").strip()
