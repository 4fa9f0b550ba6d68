"""Lines that a noun adds to files which list all nouns, and takes back."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from app.cli.generator.layout import fitted
from app.cli.generator.nouns import Noun

EXPORTS = re.compile(r"^__all__ = \[(.*?)\]$", re.MULTILINE | re.DOTALL)
ROUTES_END = "## Programs\n"
ACCOUNT_LINK = re.compile(r"^ *<li><a href=\"\{\{ url_for\('account\.edit'\) \}\}\"", re.MULTILINE)


class Unexpected(ValueError):
    """A file does not have the place for a line, or not the line itself. The text names the file."""


class Edit(NamedTuple):
    """A change of a file, and the opposite. Both raise Unexpected."""

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


def add_routes(text: str, noun: Noun) -> str:
    head, found, tail = text.partition(ROUTES_END)
    if not found:
        raise Unexpected(f"has no section {ROUTES_END.strip()}")
    return f"{head}{routes(noun)}{found}{tail}"


def remove_routes(text: str, noun: Noun) -> str:
    return without(text, routes(noun))


def routes(noun: Noun) -> str:
    """Return a section of the reference."""
    fields = ", ".join([*(f"`{field.name}`" for field in noun.fields), "`owner`"])
    url, row = noun.url, f"{noun.url}/<int:{noun.name}_id>"
    rows = (
        ("GET", url, "", f"The {noun.plural_words} of the user."),
        ("GET", f"{url}/new", "", f"The form for a new {noun.words}."),
        ("POST", f"{url}/new", fields, f"Adds a new {noun.words}."),
        ("GET", row, "", f"The form that changes one of the {noun.plural_words}."),
        ("POST", row, fields, f"Changes one of the {noun.plural_words}."),
        ("POST", f"{row}/delete", "`owner`", f"Deletes one of the {noun.plural_words}."),
    )
    lines = [
        " | ".join([f"| {method}", f"`{path}`", "login", typed, f"{what} |"]) for method, path, typed, what in rows
    ]
    lines = [line.replace("|  |", "| |") for line in lines]
    head = "| methods | route | access | form fields | what it does |\n|---|---|---|---|---|"
    return "\n".join([f"## {noun.label}\n", head, *lines, "", ""])


def add_import(text: str, line: str) -> str:
    """Add an import in the order of the linter: that of the modules."""
    package = line.split()[1].rpartition(".")[0]
    others = [each for each in text.splitlines(keepends=True) if each.startswith(f"from {package}.")]
    if not others:
        raise Unexpected(f"imports nothing from {package}")
    after = [each for each in others if each.split()[1] > line.split()[1]]
    if after:
        return text.replace(after[0], line + after[0], 1)
    return text.replace(others[-1], others[-1] + line, 1)


def without(text: str, lines: str) -> str:
    if lines not in text:
        raise Unexpected(f"does not contain {lines.splitlines()[0].strip()!r}")
    return text.replace(lines, "", 1)


EDITS = (
    Edit("src/app/models/__init__.py", add_model, remove_model),
    Edit("src/app/app_factory.py", add_blueprint, remove_blueprint),
    Edit("src/app/templates/layout_sections/top_navbar.html", add_link, remove_link),
    Edit("docs/reference/routes.md", add_routes, remove_routes),
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
