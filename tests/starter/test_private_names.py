"""Only public names of libraries are used, except in the file that patches Hypercorn."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.app import ROOT

SOURCE = ROOT / "src"
PATCHES = SOURCE / "app/lib/server/hypercorn_patches.py"
FILES = [*sorted(SOURCE.rglob("*.py")), ROOT / "run.py"]
# Documented: methods of named tuples, SQLAlchemy's Row._mapping, and os._exit.
PUBLIC = {"_asdict", "_fields", "_make", "_replace", "_mapping", "_exit"}
UPSTREAM = re.compile(r"(?i)upstream")


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__") and name not in PUBLIC


def defined_in(tree: ast.AST) -> set[str]:
    """Return the names that a file gives to functions, classes, variables and attributes of self."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(node.id if isinstance(node, ast.Name) else node.attr)
    return names


def private_names_used(path: Path) -> Iterator[tuple[int, str]]:
    """Yield each use of a private name of another object or module, and of one that a base class defines."""
    tree = ast.parse(path.read_text())
    defined = defined_in(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            is_own = isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"} and node.attr in defined
            if not is_own:
                yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            imported = [*(alias.name for alias in node.names), getattr(node, "module", None) or ""]
            if any(is_private(part) for name in imported for part in name.split(".")):
                yield node.lineno, ast.unparse(node)


def private_names_overridden(path: Path, source: Path) -> Iterator[tuple[int, str]]:
    """Yield each private name that a class in this project overrides in a class of a library."""
    module = ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__")
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef):
            bases = getattr(importlib.import_module(module), node.name).__mro__[1:]
            inherited = {name for base in bases if not base.__module__.startswith("app.") for name in vars(base)}
            for name in defined_in(node) & inherited:
                if is_private(name):
                    yield node.lineno, f"{node.name}.{name}"


def private_names(path: Path) -> list[tuple[int, str]]:
    overridden = private_names_overridden(path, SOURCE) if path.is_relative_to(SOURCE) else ()
    return [*private_names_used(path), *overridden]


def test_no_private_name_of_a_library_is_used() -> None:
    found = {path: private_names(path) for path in FILES if path != PATCHES}

    assert {path: names for path, names in found.items() if names} == {}


def test_at_most_five_private_names_are_patched_each_with_its_upstream_issue() -> None:
    found = private_names(PATCHES)
    assert len(found) <= 5

    for line, name in found:
        assert UPSTREAM.search(statement_at(line)), name


def statement_at(line: int) -> str:
    """Return the statement of PATCHES that contains a line, with the comment above it."""
    text = PATCHES.read_text()
    lines = text.splitlines()
    (node,) = [node for node in ast.parse(text).body if node.lineno <= line <= (node.end_lineno or 0)]
    start = node.lineno - 1
    while lines[start - 1].startswith("#"):
        start -= 1
    return "\n".join(lines[start : node.end_lineno])


def test_a_private_name_is_found(tmp_path: Path) -> None:
    for code in (
        "from sqlalchemy import _private",
        "import hypercorn._private",
        "pool._max_overflow",
        "class Pool(QueuePool):\n    def size(self): return self._max_overflow",
        "class Pool(QueuePool):\n    def size(self): return super()._inc_overflow()",
    ):
        (tmp_path / "module.py").write_text(code)
        assert list(private_names_used(tmp_path / "module.py")), code


def test_an_overridden_private_name_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from logging import Logger\nclass Quiet(Logger):\n    def _log(self): pass\n    def _own(self): pass\n"
    (tmp_path / "overriding.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)

    assert [name for _, name in private_names_overridden(tmp_path / "overriding.py", tmp_path)] == ["Quiet._log"]
