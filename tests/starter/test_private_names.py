"""Only public names of libraries are used, except in the file that patches Hypercorn."""

import ast
from collections.abc import Iterator

import pytest

from support.app import ROOT

PATCHES = ROOT / "src/app/lib/server/hypercorn_patches.py"
FILES = [*sorted((ROOT / "src").rglob("*.py")), ROOT / "run.py"]
# Documented: methods of named tuples, SQLAlchemy's Row._mapping, and os._exit.
PUBLIC = {"_", "_asdict", "_fields", "_make", "_replace", "_mapping", "_exit"}


def private_names(tree: ast.AST) -> list[str]:
    """Return the private names of other objects and modules, and those in a class whose base may define them."""
    inheriting = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.bases]
    names = [name for node in ast.walk(tree) for name in names_used(node)]
    names += [name for heir in inheriting for node in ast.walk(heir) for name in names_defined(node)]
    parts = [part for name in names for part in name.split(".")]
    return [part for part in parts if part.startswith("_") and not part.endswith("__") and part not in PUBLIC]


def names_used(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield from (alias.name for alias in node.names)
        yield getattr(node, "module", None) or ""
    elif isinstance(node, ast.Attribute) and ast.unparse(node.value) not in ("self", "cls"):
        yield node.attr


def names_defined(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield node.name
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.Attribute):
        yield node.attr


def test_no_private_name_of_a_library_is_used() -> None:
    found = {path: private_names(ast.parse(path.read_text())) for path in FILES if path != PATCHES}

    assert {path: names for path, names in found.items() if names} == {}


def test_at_most_five_private_names_are_patched_each_with_its_upstream_issue() -> None:
    text, end, found = PATCHES.read_text(), 0, list[str]()
    for statement in ast.parse(text).body:
        start, end = end, statement.end_lineno or 0
        names = private_names(statement)
        found += names
        assert not names or "upstream" in "\n".join(text.splitlines()[start:end]).lower(), names

    assert 0 < len(found) <= 5


@pytest.mark.parametrize(
    "code",
    [
        "from sqlalchemy import _private",
        "import hypercorn._private",
        "pool._max_overflow",
        "class Pool(QueuePool):\n    def size(self): return self._max_overflow",
        "class Pool(QueuePool):\n    def size(self): return super()._inc_overflow()",
        "class Quiet(Logger):\n    def _log(self): pass",
        "class Quiet(Logger):\n    _level = 3",
    ],
)
def test_a_private_name_is_found(code: str) -> None:
    assert private_names(ast.parse(code))
