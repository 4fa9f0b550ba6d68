"""The files of a noun, rendered from the templates beside this module."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.cli.generator.examples import examples_of
from app.cli.generator.kinds import IMPORTS, Import
from app.cli.generator.layout import fitted, import_line, quoted
from app.cli.generator.nouns import Field, Noun

TEMPLATES = Path(__file__).with_name("templates")
PATHS = {
    "model.py": "src/app/models/{name}.py",
    "service.py": "src/app/services/{plural}.py",
    "form.py": "src/app/forms/{name}.py",
    "blueprint.py": "src/app/views/{plural}_bp.py",
    "index.html": "src/app/templates/{plural}/index.html",
    "new.html": "src/app/templates/{plural}/new.html",
    "edit.html": "src/app/templates/{plural}/edit.html",
    "fields.html": "src/app/templates/{plural}/_fields.html",
    "test.py": "tests/test_{plural}.py",
    "page_states.py": "tests/support/states_of_{plural}.py",
    "migration.py": "alembic/versions/{revision}_{plural}.py",
}
ALWAYS_IMPORTED = (
    Import("datetime", "datetime"),
    Import("sqlalchemy", "ForeignKey"),
    Import("app.models.base", "Base"),
    Import("app.models.base", "UtcDateTime"),
)

# The generated files contain Jinja and Python, so their templates use other delimiters.
environment = Environment(
    loader=FileSystemLoader(TEMPLATES),
    block_start_string="[%",
    block_end_string="%]",
    variable_start_string="<<",
    variable_end_string=">>",
    comment_start_string="[#",
    comment_end_string="#]",
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    undefined=StrictUndefined,
    autoescape=False,  # noqa: S701 # the names are checked, and the files are code
)


class Revision(NamedTuple):
    """The id of a migration, and of the one before it."""

    id: str
    follows: str


def rendered(noun: Noun, revision: Revision) -> dict[str, str]:
    """Return the contents of each file, by its path."""
    context = {"noun": noun, "fields": noun.fields, "revision": revision, **parts_of(noun)}
    names = {"name": noun.name, "plural": noun.plural, "revision": revision.id}
    return {
        path.format(**names): environment.get_template(f"{template}.jinja").render(context)
        for template, path in PATHS.items()
    }


def parts_of(noun: Noun) -> dict[str, Any]:
    """Return what the templates use besides the noun and its fields."""
    others = [field for field in noun.fields if field != noun.title]
    constants = sorted(field.constant for field in noun.fields if field.kind.length)
    return {
        "text_lines": [shown_line(field) for field in others if field.kind_name == "text"],
        "detail_lines": [shown_line(field) for field in others if field.kind_name != "text"],
        "limited": [field for field in noun.fields if field.kind.length],
        "dates": sorted({field.kind_name for field in noun.fields} & {"date", "datetime"}),
        "kinds": {field.kind_name for field in noun.fields},
        "imports": imports_of(noun.fields),
        "form_functions": sorted({field.kind.form for field in noun.fields if field.kind.form != "BooleanField"}),
        "form_lines": [form_line(field) for field in noun.fields],
        "models": sorted({noun.model, "UserSession"}),
        "length_import": import_line(f"app.models.{noun.name}", constants),
        **examples_of(noun),
    }


def imports_of(fields: Iterable[Field]) -> dict[str, str]:
    """Return the names that the model imports from each module, in the order of the linter."""
    needed = {IMPORTS[field.kind_name] for field in fields if field.kind_name in IMPORTS}
    names = {*needed, *ALWAYS_IMPORTED}
    return {module: ", ".join(sorted(name for of, name in names if of == module)) for module, _ in names}


def shown_line(field: Field) -> str:
    """Return the line of the list that shows a value, if there is one."""
    if field.kind_name == "bool":
        return f'{{% if row.{field.name} %}} · {{{{ _("{field.label}") }}}}{{% endif %}}'
    if field.kind_name == "text":
        line = f"<p>{{{{ {field.shown} }}}}</p>"
    else:
        line = f'· {{{{ _("{field.label}") }}}} {{{{ {field.shown} }}}}'
    # A Jinja tag also removes the spaces before it.
    return f"{{% if row.{field.name} is not none %}} {line}{{% endif %}}" if field.is_optional else line


def form_line(field: Field) -> str:
    options = [option.format(constant=field.constant) for option in field.kind.options]
    arguments = [f"_({quoted(field.label)})", *options, *(["is_optional=True"] if field.is_optional else [])]
    return fitted(arguments, f"{field.name} = {field.kind.form}(", ")", indent=4, is_call=True)


environment.filters["quoted"] = quoted
environment.globals["fitted"] = fitted
