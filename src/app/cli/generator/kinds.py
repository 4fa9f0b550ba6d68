"""The types of fields that a noun can have. docs/reference/commands.md lists them with their limits."""

from dataclasses import dataclass
from typing import NamedTuple

MAX_LINE = 200  # characters
# Characters. A request has at most 64 KiB, in which a character can take twelve bytes; MySQL's TEXT has 65,535 bytes.
MAX_TEXT = 5000


@dataclass(frozen=True)
class Kind:
    """How each layer writes a type. `{constant}` is the name of the constant with the length of the column."""

    python: str  # the type of the value
    column: str  # the arguments of mapped_column, empty if SQLAlchemy derives them from the type
    migration: str  # the type of the column
    form: str  # the function that makes the field, in forms/fields.py
    options: tuple[str, ...]  # its arguments
    typed: str  # valid input
    wrong: tuple[str, ...]  # invalid inputs, as Python code
    shown: str = "{value}"  # how the list shows a value
    length: int | None = None


class Import(NamedTuple):
    """A name that a type needs in the file of the model, and its module."""

    module: str
    name: str


KINDS = {
    "str": Kind(
        python="str",
        column="String({constant})",
        migration=f"sa.String(length={MAX_LINE})",
        form="line_field",
        options=("max_length={constant}",),
        typed="A line",
        wrong=('"x" * ({constant} + 1)', '"two\\nlines"'),
        length=MAX_LINE,
    ),
    "text": Kind(
        python="str",
        column="Text",
        migration="sa.Text()",
        form="text_field",
        options=("max_length={constant}",),
        typed="Two\nlines",
        wrong=('"x" * ({constant} + 1)', '"a\\0b"'),
        shown="{value} | truncate(200)",
        length=MAX_TEXT,
    ),
    "int": Kind(
        python="int",
        column="",
        migration="sa.Integer()",
        form="integer_field",
        options=(),
        typed="42",
        wrong=('"1.5"', '"2147483648"'),
        shown="{value} | format_number",
    ),
    "bool": Kind(
        python="bool", column="", migration="sa.Boolean()", form="BooleanField", options=(), typed="y", wrong=()
    ),
    "date": Kind(
        python="date",
        column="",
        migration="sa.Date()",
        form="date_field",
        options=(),
        typed="2030-12-31",
        wrong=('"2030-02-30"', '"0030-12-31"'),
        shown="{value} | format_day",
    ),
    "datetime": Kind(
        python="datetime",
        column="UtcDateTime",
        migration="sa.DateTime()",
        form="datetime_field",
        options=(),
        typed="2030-12-31T18:00",
        wrong=('"2030-12-31"', '"9999-12-31T23:59"'),
        shown="macros.moment({value})",
    ),
    "decimal": Kind(
        python="Decimal",
        column="DecimalNumber(12, 2)",
        migration="sa.Numeric(precision=12, scale=2)",
        form="decimal_field",
        options=("digits=12", "places=2"),
        typed="12.50",
        wrong=('"1.234"', '"10000000000"', '"NaN"'),
        shown="{value} | format_number",
    ),
}
IMPORTS = {
    "str": Import("sqlalchemy", "String"),
    "text": Import("sqlalchemy", "Text"),
    "date": Import("datetime", "date"),
    "datetime": Import("app.models.base", "UtcDateTime"),
    "decimal": Import("app.models.base", "DecimalNumber"),
}
