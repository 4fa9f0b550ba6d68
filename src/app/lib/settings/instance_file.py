"""instance/application.cfg.py: settings in Python, which may raise anything."""

import traceback
import warnings
from pathlib import Path

from quart import Quart

NAME = "application.cfg.py"


def load_instance_file(app: Quart) -> None:
    """Update the settings of the app from the file, if there is one. Raises ValueError."""
    path = str(Path(app.instance_path, NAME))
    try:
        with warnings.catch_warnings():
            for category in (SyntaxWarning, DeprecationWarning):  # would print the line, which may contain a password
                warnings.simplefilter("ignore", category)
            app.config.from_pyfile(path, silent=True)
    except (Exception, SystemExit) as error:
        raise ValueError(describe(error, path)) from error


def describe(error: BaseException, path: str) -> str:
    """Return where and how the file fails: `instance/application.cfg.py, line 3: NameError`.

    The text of most errors may contain a value of the file: a password without quotes is the name in a NameError.
    """
    line = error.lineno if isinstance(error, SyntaxError) else line_of(error, path)
    place = f"instance/{NAME}, line {line}" if line else f"instance/{NAME}"
    reason = reason_of(error)
    return f"{place}: {type(error).__name__}" + (f": {reason}" if reason else "")


def line_of(error: BaseException, path: str) -> int | None:
    """Return the number of the line at which the file failed."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return lines[-1] if lines else None


def reason_of(error: BaseException) -> str | None:
    """Return the reason without any value of the file, or None."""
    match error:
        case SyntaxError():
            return error.msg
        case NameError():
            return "write text in quotes"
        case ImportError():
            return str(error)
        case OSError():
            return error.strerror
    return None
