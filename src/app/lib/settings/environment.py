"""Settings from the environment: QUART_<NAME>, or QUART_<NAME>_FILE with the path of a file that contains the value.

A file keeps a secret out of the environment, which every child process inherits. The credentials of systemd
(LoadCredential) and the secrets of containers are such files.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path


def settings_from_environment(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the names and values that the environment sets. Raises ValueError."""
    for name in names:
        variable, file = variables(name)
        if variable in os.environ and file in os.environ:
            raise ValueError(f"{variable} and {file} exclude each other: set one of them")
        if variable in os.environ:
            yield name, os.environ[variable]
        elif file in os.environ:
            yield name, read_file(file)


def variables(name: str) -> tuple[str, str]:
    """Return the two variables of a setting: that of its value and that of its file."""
    return f"QUART_{name}", f"QUART_{name}_FILE"


def read_file(variable: str) -> str:
    """Return the text of the file that a variable names, without the newline at its end. Raises ValueError."""
    try:
        return Path(os.environ[variable]).read_text(encoding="utf-8").removesuffix("\n")
    except UnicodeDecodeError:
        raise ValueError(f"the file that {variable} names is not text in UTF-8") from None
    except OSError as error:  # the variable may contain the secret instead of a path
        reason = f"the file that {variable} names cannot be read: {error.strerror}"
        raise ValueError(f"{reason}; write the path of a file") from None
