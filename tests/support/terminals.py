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
# Makes the terminal the controlling terminal of this process, and replaces the process with the command.
LAUNCH = """
import fcntl, os, signal, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])
"""


class Terminal(fdspawn):  # type: ignore[type-arg] # generic only in the type stubs
    """A command in its own terminal, where Ctrl-C works even if a shell started the tests in the background.

    pexpect.spawn() runs Python between fork and exec, which can hang because the process of the tests has threads.
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
        """Wait until the terminal has stopped echoing: from then on the command reads what is typed."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while termios.tcgetattr(self.child_fd)[3] & termios.ECHO:
            assert time.monotonic() < deadline, "the terminal still echoes"
            time.sleep(0.05)

    def press_ctrl_c(self) -> None:
        self.send("\x03")

    def read_to_the_end(self) -> str:
        """Return the remaining output, wait for the command to end, and set `exitstatus`."""
        self.expect(pexpect.EOF)
        self.exitstatus = self.process.wait(TIMEOUT_SECONDS)
        return plain(self.before)

    def end(self) -> None:
        """Close the terminal, and kill the command if it still runs."""
        self.close()
        self.process.kill()
        self.process.wait()


def plain(printed: object) -> str:
    """Return what an operator reads: no colours, no movements of the cursor."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", str(printed)).replace("\r", "").strip()
