"""A terminal at which a person types."""

import signal

import pexpect

from conftest import ROOT

PATIENCE = 30  # seconds


def terminal_with(command: list[str], environment: dict[str, str], *, lines: int = 24) -> "pexpect.spawn[str]":
    """Run a command at a terminal of its own, where Ctrl-C interrupts: not so below a shell's `make test &`."""
    return pexpect.spawn(
        command[0],
        command[1:],
        cwd=str(ROOT),
        env=environment | {"TERM": "dumb"},
        encoding="utf-8",
        timeout=PATIENCE,
        dimensions=(lines, 200),
        preexec_fn=let_ctrl_c_interrupt,
    )


def let_ctrl_c_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
