"""Names that a noun or a field cannot have, because the site, Python or SQL already uses them."""

import ast
import builtins
import keyword
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from quart import Quart
from sqlalchemy import make_url

from app.cli import remove_feature
from app.cli.generator.files import Revision, rendered
from app.cli.generator.kinds import KINDS
from app.cli.generator.nouns import Field, Noun, WrongArguments
from app.forms.base import SiteForm
from app.lib.db.url import ASYNC_DRIVERS
from app.models import Base

# Columns and parameters that every noun has, columns by which the site deletes rows, and an id of the layout.
RESERVED_FIELDS = {"id", "user_id", "user", "created_on", "owner", "expires_on", "resets_on", "self", "content", "next"}
FIELD_FILES = ("src/app/models/", "src/app/forms/", "src/app/services/")  # where a field is a name of Python
DEFINED = re.compile(r"^class (\w+)|^    __tablename__ = \"(\w+)\"|^\w+_bp = Blueprint\(\s*\"(\w+)\"", re.MULTILINE)
SAMPLE = Noun("sample_noun", "sample_nouns", tuple(Field(f"sample_{kind}", kind, is_optional=False) for kind in KINDS))


def check(app: Quart, root: Path, noun: Noun) -> None:
    """Raise WrongArguments if a name is not free."""
    used, taken = names_in_generated_code(""), set(names_defined(root))
    for word in (noun.name, noun.plural, noun.model):
        check_word(word, used)
        if word in taken:
            raise WrongArguments(f"{word} is a table, a class or a blueprint of the site: choose another")
        if word == "alembic_version" or word.startswith("sqlite_"):
            raise WrongArguments(f"{word} is a name of Alembic's or SQLite's own tables: choose another")
    if noun.plural in remove_feature.names(root):  # the deletion of the feature would delete the migration too
        raise WrongArguments(f"{noun.plural} is a feature of the site: choose another noun")
    for field in noun.fields:
        check_field(field.name)
    check_routes(app, noun)


def check_field(name: str) -> None:
    if name in RESERVED_FIELDS or hasattr(SiteForm(), name) or hasattr(Base, name):
        raise WrongArguments(f"{name} is a name that every table or form has: choose another for the field")
    check_word(name, names_in_generated_code(FIELD_FILES))


def check_routes(app: Quart, noun: Noun) -> None:
    adapter = app.url_map.bind("")
    for path in (noun.url, f"{noun.url}/", f"{noun.url}/new"):
        if any(adapter.test(path, method=method) for method in ("GET", "POST")):
            raise WrongArguments(f"{path} is a route of the site: choose another noun")


def check_word(word: str, used: set[str]) -> None:
    """Raise WrongArguments for a name of Python, of SQL, or of the generated code."""
    if keyword.iskeyword(word) or keyword.issoftkeyword(word) or hasattr(builtins, word):
        raise WrongArguments(f"{word} is a word of Python: choose another")
    if any(word in reserved for reserved in words_of_sql()):
        raise WrongArguments(f"{word} is a reserved word of SQL: choose another")
    if word in used:
        raise WrongArguments(f"{word} is a name that the generated code uses: choose another")


def words_of_sql() -> Iterable[set[str]]:
    """Yield the words that must be quoted. SQLAlchemy quotes them, but in raw SQL a developer may forget to.

    The words of MariaDB are not included: most of those that MySQL lacks, like body, are reserved only in MariaDB's
    Oracle mode.
    """
    for backend in ("sqlite", "mysql"):
        yield make_url(f"{ASYNC_DRIVERS[backend]}://").get_dialect()().identifier_preparer.reserved_words


@cache
def names_in_generated_code(folders: str | tuple[str, ...]) -> set[str]:
    """Return the names that the generated Python files of these folders use, without those of the noun itself."""
    files = rendered(SAMPLE, Revision("", ""))
    trees = [ast.parse(text) for path, text in files.items() if path.endswith(".py") and path.startswith(folders)]
    names = [name for tree in trees for node in ast.walk(tree) for name in names_of(node)]
    return {name for name in names if "ample" not in name}


def names_of(node: ast.AST) -> list[str]:
    match node:
        case ast.Name(id=name) | ast.arg(arg=name):
            return [name]
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.alias(name=name, asname=other):
            return [other or name]
    return []


def names_defined(root: Path) -> Iterable[str]:
    """Return the classes, tables and blueprints of the source tree, also those of features that are switched off."""
    for path in (root / "src/app").rglob("*.py"):
        for match in DEFINED.findall(path.read_text()):
            yield from filter(None, match)
