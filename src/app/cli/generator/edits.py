"""Add the lines of a noun to the files that list all nouns, and remove them again."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from app.cli.generator import routes
from app.cli.generator.layout import fitted
from app.cli.generator.lines import Unexpected, add_import, without
from app.cli.generator.nouns import Noun

EXPORTS = re.compile(r"^__all__ = \[(.*?)\]$", re.MULTILINE | re.DOTALL)
ACCOUNT_LINK = re.compile(r"^ *<li><a href=\"\{\{ url_for\('account\.edit'\) \}\}\"", re.MULTILINE)


class Edit(NamedTuple):
    """A change of a file, and its reversal. Both raise Unexpected."""

    path: str
    add: Callable[[str, Noun], str]
    remove: Callable[[str, Noun], str]


def add_model(text: str, noun: Noun) -> str:
    return with_exports(add_import(text, model_import(noun)), lambda names: {*names, noun.model})


def remove_model(text: str, noun: Noun) -> str:
    return with_exports(without(text, model_import(noun)), lambda names: names - {noun.model})


def model_import(noun: Noun) -> str:
    return f"from app.models.{noun.name} import {noun.model}\n"


def with_exports(text: str, change: Callable[[set[str]], set[str]]) -> str:
    """Change the names in `__all__`."""
    match = EXPORTS.search(text)
    if not match:
        raise Unexpected("has no __all__")
    names = change(set(re.findall(r'"(\w+)"', match[1])))
    exports = fitted([f'"{name}"' for name in sorted(names)], "__all__ = [", "]")
    return text[: match.start()] + exports + text[match.end() :]


def add_blueprint(text: str, noun: Noun) -> str:
    text = add_import(text, blueprint_import(noun))
    head, found, tail = text.partition("BLUEPRINTS = (\n")
    if not found:
        raise Unexpected("has no tuple BLUEPRINTS")
    blueprints, end, rest = tail.partition("\n)\n")
    return f"{head}{found}{blueprints}\n    {noun.plural}_bp,{end}{rest}"


def remove_blueprint(text: str, noun: Noun) -> str:
    return without(without(text, blueprint_import(noun)), f"    {noun.plural}_bp,\n")


def blueprint_import(noun: Noun) -> str:
    return f"from app.views.{noun.plural}_bp import {noun.plural}_bp\n"


def add_link(text: str, noun: Noun) -> str:
    """Add a link before that to the account."""
    match = ACCOUNT_LINK.search(text)
    if not match:
        raise Unexpected("has no link to the account")
    return text[: match.start()] + link(noun) + text[match.start() :]


def remove_link(text: str, noun: Noun) -> str:
    return without(text, link(noun))


def link(noun: Noun) -> str:
    return f'      <li><a href="{{{{ url_for(\'{noun.plural}.index\') }}}}">{{{{ _("{noun.label}") }}}}</a></li>\n'


EDITS = (
    Edit("src/app/models/__init__.py", add_model, remove_model),
    Edit("src/app/app_factory.py", add_blueprint, remove_blueprint),
    Edit("src/app/templates/layout_sections/top_navbar.html", add_link, remove_link),
    Edit("docs/reference/routes.md", routes.add, routes.remove),
)


def added(root: Path, noun: Noun) -> dict[str, str]:
    """Return the new contents of each file, by its path. Raises Unexpected."""
    return {edit.path: changed(root, edit.path, edit.add, noun) for edit in EDITS}


def removed(root: Path, noun: Noun, *, is_forced: bool) -> dict[str, str]:
    """Return the former contents of each file. A file without the lines raises Unexpected, or is left out if forced."""
    found = {}
    for edit in EDITS:
        try:
            found[edit.path] = changed(root, edit.path, edit.remove, noun)
        except Unexpected:
            if not is_forced:
                raise
    return found


def changed(root: Path, path: str, change: Callable[[str, Noun], str], noun: Noun) -> str:
    try:
        return change((root / path).read_text(), noun)
    except Unexpected as error:
        raise Unexpected(f"{path} {error}") from error
