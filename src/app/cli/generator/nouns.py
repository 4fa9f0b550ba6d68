"""A noun and its fields, parsed from the arguments of the command."""

import re
from dataclasses import dataclass
from functools import cached_property

from app.cli.generator.kinds import KINDS, Kind

WORD = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
FIELD = re.compile(r"(?P<name>[^:]*):(?P<kind>[^?]*)(?P<optional>\??)")
MAX_NOUN = 18  # characters: with longer names, lines of the generated code are too long
MAX_PLURAL = 20
# characters: the generated tests need a form that is preserved, which is limited to 1,000 characters
MAX_FIELD = 28
MAX_FIELDS = 16
ENDINGS = ((r"([^aeiou])y$", r"\1ies"), (r"(s|x|z|ch|sh)$", r"\1es"), (r"$", "s"))


class WrongArguments(ValueError):
    """An argument of the command is wrong. The message names it, on one line."""


@dataclass(frozen=True)
class Field:
    name: str
    kind_name: str
    is_optional: bool

    @property
    def kind(self) -> Kind:
        return KINDS[self.kind_name]

    @property
    def words(self) -> str:
        return self.name.replace("_", " ")

    @property
    def label(self) -> str:
        return self.words[0].upper() + self.words[1:]

    @property
    def constant(self) -> str:
        return f"{self.name.upper()}_LENGTH"

    @property
    def annotation(self) -> str:
        return f"{self.kind.python} | None" if self.is_optional else self.kind.python

    @property
    def shown(self) -> str:
        """The expression of the list, in Jinja."""
        return self.kind.shown.format(value=f"row.{self.name}")

    def __str__(self) -> str:
        return f"{self.name}:{self.kind_name}{'?' if self.is_optional else ''}"


@dataclass(frozen=True)
class Noun:
    name: str
    plural: str
    fields: tuple[Field, ...]

    @property
    def model(self) -> str:
        return "".join(word.capitalize() for word in self.name.split("_"))

    @property
    def words(self) -> str:
        return self.name.replace("_", " ")

    @property
    def plural_words(self) -> str:
        return self.plural.replace("_", " ")

    @property
    def label(self) -> str:
        return self.plural_words[0].upper() + self.plural_words[1:]

    @property
    def url(self) -> str:
        return f"/{self.plural.replace('_', '-')}"

    @cached_property
    def title(self) -> Field:
        """The field that names a row: in the list, and for screen readers."""
        return next(field for field in self.fields if field.kind_name == "str" and not field.is_optional)

    @property
    def command(self) -> str:
        """The arguments that make this noun."""
        plural = [] if self.plural == plural_of(self.name) else ["--plural", self.plural]
        return " ".join([self.name, *map(str, self.fields), *plural])


def plural_of(noun: str) -> str:
    """Return the plural of most English nouns: notes, boxes, categories."""
    ending, replacement = next(pair for pair in ENDINGS if re.search(pair[0], noun))
    return re.sub(ending, replacement, noun, count=1)


def parse(name: str, fields: list[str], plural: str | None) -> Noun:
    """Return the noun. Raises WrongArguments."""
    noun = Noun(name, plural or plural_of(name), tuple(map(parse_field, fields)))
    check_word(noun.name, "noun", max_length=MAX_NOUN)
    check_word(noun.plural, "plural", max_length=MAX_PLURAL)
    if noun.plural == noun.name:
        raise WrongArguments(f"{name} is its own plural: name another with --plural, such as {name}_items")
    check_fields(noun)
    return noun


def check_fields(noun: Noun) -> None:
    names = [field.name for field in noun.fields]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise WrongArguments(f"{', '.join(doubled)} is given more than once")
    if not any(field.kind_name == "str" and not field.is_optional for field in noun.fields):
        raise WrongArguments("one field must be a str that is not optional, like title:str: the list shows it")
    if f"{noun.name}_id" in names:
        raise WrongArguments(f"{noun.name}_id is the id in the URL: choose another name for the field")
    if len(names) > MAX_FIELDS:
        raise WrongArguments(f"there are {len(names)} fields, and at most {MAX_FIELDS} are possible")


def parse_field(text: str) -> Field:
    """Return a field for `due:date?`. Raises WrongArguments."""
    match = FIELD.fullmatch(text)
    if not match or match["kind"] not in KINDS:
        raise WrongArguments(f"{text!r} is not NAME:TYPE, with ? if it is optional. Types: {', '.join(KINDS)}")
    check_word(match["name"], "field", max_length=MAX_FIELD)
    if match["kind"] == "bool" and match["optional"]:
        raise WrongArguments(f"{text!r}: a bool is true or false, and never optional")
    return Field(match["name"], match["kind"], bool(match["optional"]))


def check_word(word: str, what: str, *, max_length: int) -> None:
    if not WORD.fullmatch(word):
        raise WrongArguments(f"{word!r} is not the name of a {what}: use lower-case letters, like reading_list")
    if len(word) > max_length:
        raise WrongArguments(f"{word!r} has more than {max_length} characters")
