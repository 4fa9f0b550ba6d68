"""`quart --app run translations …`: what the site says in other languages. docs/pages.md shows how to work with it."""

from collections.abc import Iterator
from pathlib import Path

import click
from babel import Locale, UnknownLocaleError
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from app.languages import DOMAIN, FOLDER

SOURCES = [("**.py", "python"), ("templates/**.html", "jinja2"), ("templates/**.txt", "jinja2")]
JINJA = {"trimmed": "true", "silent": "false", "extensions": "jinja2.ext.i18n"}
KEYWORDS = {"_": None, "gettext": None, "lazy_gettext": None, "ngettext": (1, 2)}
CATALOGUE = Path("LC_MESSAGES", f"{DOMAIN}.po")


@click.group()
def translations() -> None:
    """Look after the catalogues of messages."""


@translations.command()
@click.argument("languages", nargs=-1)
def update(languages: tuple[str, ...]) -> None:
    """Read all messages from the code and the templates into the catalogues; name a LANGUAGE to begin its catalogue."""
    messages = extracted()
    for path in dict.fromkeys([*map(path_of, languages), *paths()]):
        catalogue = read(path)
        messages.creation_date = catalogue.creation_date  # else every update would change every file
        catalogue.update(messages, no_fuzzy_matching=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            write_po(file, catalogue, width=120, ignore_obsolete=True, include_lineno=False, omit_header=False)
        missing = sum(not all(message.string or [""]) for message in catalogue if message.id)
        click.echo(f"{catalogue.locale}: {len(catalogue)} messages, {missing} of them to translate")


@translations.command("compile")
def compile_all() -> None:
    """Write what the site reads, from what people edit."""
    for path in paths():
        with path.with_suffix(".mo").open("wb") as file:
            write_mo(file, read(path))


def extracted() -> Catalog:
    """Return every message of the code and the templates."""
    found, tags = Catalog(), ("Translators:",)
    options = {pattern: JINJA for pattern, method in SOURCES if method == "jinja2"}
    for where, line, message, comments, context in extract_from_dir(FOLDER.parent, SOURCES, options, KEYWORDS, tags):
        found.add(message, None, [(where, line)], auto_comments=comments, context=context)
    return found


def paths() -> Iterator[Path]:
    return iter(sorted(FOLDER.glob(f"*/{CATALOGUE}")))


def path_of(language: str) -> Path:
    """Return where the catalogue of a language is. Raises ClickException for what is no language."""
    try:
        return FOLDER / str(Locale.parse(language, sep="-")) / CATALOGUE
    except (ValueError, UnknownLocaleError):
        raise click.ClickException(f"{language!r} is no language that is known, like de or pt-BR") from None


def read(path: Path) -> Catalog:
    """Return a catalogue, an empty one where there is none yet."""
    locale = path.parts[-3]
    if not path.exists():
        return Catalog(
            locale, header_comment=f"# Messages of the site, {Locale.parse(locale).english_name}.", fuzzy=False
        )
    with path.open("rb") as file:
        return read_po(file, locale, domain=DOMAIN)
