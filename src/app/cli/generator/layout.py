"""Format Python code like the formatter, so that generated files do not need to be formatted."""

from collections.abc import Sequence

WIDTH = 120  # of a line, as in pyproject.toml


def fitted(items: Sequence[str], head: str, tail: str, *, indent: int = 0, is_call: bool = False) -> str:
    """Return items between brackets, on one line if they fit.

    Otherwise, the arguments of a call share one line if they fit there. All other items have a line each.
    """
    space, deeper = " " * indent, " " * (indent + 4)
    alone = "," if len(items) == 1 and head.endswith("(") and not is_call else ""  # of a tuple
    line = f"{space}{head}{', '.join(items)}{alone}{tail}"
    if len(line) <= WIDTH:
        return line
    inner = f"{deeper}{', '.join(items)}"
    if not is_call or len(inner) > WIDTH:
        inner = "\n".join(f"{deeper}{item}," for item in items)
    return f"{space}{head}\n{inner}\n{space}{tail}"


def import_line(module: str, names: Sequence[str]) -> str:
    line = f"from {module} import {', '.join(names)}"
    return line if len(line) <= WIDTH else fitted(names, f"from {module} import (", ")")


def quoted(text: str) -> str:
    """Return a text as Python code, in double quotes."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
