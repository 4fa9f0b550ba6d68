"""The commands of an operator, in this process or in one of their own."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from quart.cli import ScriptInfo

from app.app_factory import create_app
from support.app import ROOT
from support.server_process import environment as environment_with
from support.terminals import TIMEOUT_SECONDS

QUART = str(Path(sys.executable).with_name("quart"))
ADA = "Ada@Example.com"  # the same e-mail address to the site, not the same text


@contextmanager
def logging_restored() -> Iterator[None]:
    """Keep a command from taking the handlers of pytest off the log."""
    handlers, logging.root.handlers = logging.root.handlers, []
    try:
        yield
    finally:
        logging.root.handlers = handlers
        logging.captureWarnings(capture=False)


class CommandLine:
    """Run `quart --app run …` in this process, on an app and an event loop of its own."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings

    def run(self, *words: str, typed: str = "", **settings: Any) -> Result:
        app = create_app(self.settings | settings)
        info = ScriptInfo(create_app=lambda: app, set_debug_flag=False)
        with logging_restored(), ThreadPoolExecutor(1) as pool:
            return pool.submit(CliRunner(catch_exceptions=False).invoke, app.cli, words, input=typed, obj=info).result()

    def succeed(self, *words: str, typed: str = "") -> str:
        """Return what the command printed; on standard error there may only be the log of what it did."""
        done = self.run(*words, typed=typed)
        unexpected = [line for line in done.stderr.splitlines() if 'by="command line"' not in line]
        assert (done.exit_code, unexpected) == (0, [])
        return done.stdout

    def refusal(self, *words: str, typed: str = "", **settings: Any) -> str:
        """Return the line with which a command fails."""
        done = self.run(*words, typed=typed, **settings)
        assert (done.exit_code, done.stdout) == (1, "")
        (line,) = done.stderr.splitlines()
        return line


@pytest.fixture
async def command_line(request: pytest.FixtureRequest, settings: dict[str, Any]) -> CommandLine:
    """A command blocks the event loop of the test, whose mailer must hold no transaction then."""
    if "app" in request.fixturenames:
        await request.getfixturevalue("app").extensions["mail_worker"].stop()
    return CommandLine(settings)


@pytest.fixture
def environment(settings: dict[str, Any]) -> dict[str, str]:
    """Return our environment with the settings of the test and no others."""
    return environment_with(Path(settings["INSTANCE_PATH"]), settings)


def run_command(environment: dict[str, str], *words: str, typed: str = "") -> "subprocess.CompletedProcess[str]":
    """Run `quart --app run …` in a process of its own."""
    how: dict[str, Any] = {
        "capture_output": True,
        "text": True,
        "timeout": TIMEOUT_SECONDS,
        "env": environment,
        "cwd": ROOT,
    }
    return subprocess.run([QUART, "--app", "run", *words], check=False, input=typed, **how)
