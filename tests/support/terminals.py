"""A terminal at which an operator types."""

import re
import signal

import pexpect

from support.app import ROOT

TIMEOUT_SECONDS = 60  # seconds: a busy machine is slow to start a process


def terminal_with(command: list[str], environment: dict[str, str], *, lines: int = 24) -> "pexpect.spawn[str]":
    """Run a command at a terminal of its own, where Ctrl-C interrupts: not so below a shell's `make test &`."""
    return pexpect.spawn(
        command[0],
        command[1:],
        cwd=str(ROOT),
        env=environment | {"TERM": "dumb"},
        encoding="utf-8",
        timeout=TIMEOUT_SECONDS,
        dimensions=(lines, 200),
        preexec_fn=let_ctrl_c_interrupt,
    )


def let_ctrl_c_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def rest_of(terminal: "pexpect.spawn[str]") -> str:
    """Return what is printed from here to the end, and wait for the exit status."""
    terminal.expect(pexpect.EOF)
    terminal.close()
    return plain(terminal.before)


def plain(printed: object) -> str:
    """Return what an operator reads: no colours, no movements of the cursor."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", str(printed)).replace("\r", "").strip()
