"""`quart --app run translations …`: maintain the catalogs of messages (docs/how-to/add-a-language.md)."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from babel import Locale, UnknownLocaleError
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from app.lib.i18n.catalogs import DOMAIN, FOLDER

SOURCES = [("**.py", "python"), ("**.html", "jinja2"), ("**.txt", "jinja2")]
JINJA = {"trimmed": "true", "silent": "false", "extensions": "jinja2.ext.i18n"}
KEYWORDS = {"_": None, "gettext": None, "lazy_gettext": None, "ngettext": (1, 2)}
CATALOG = Path("LC_MESSAGES", f"{DOMAIN}.po")


@click.group()
def translations() -> None:
    """Maintain the catalogs of messages."""


@translations.command()
@click.argument("languages", nargs=-1)
def update(languages: tuple[str, ...]) -> None:
    """Extract all messages from the code and the templates into the catalogs. A named LANGUAGE gets a new catalog."""
    for catalog in update_all(languages):
        missing = sum(not all(message.string or [""]) for message in catalog if message.id)
        click.echo(f"{catalog.locale}: {len(catalog)} messages, {missing} of them to translate")


@translations.command("compile")
def compile_all() -> None:
    """Compile the catalogs."""
    for path in paths():
        compile_one(path)


def update_all(languages: Sequence[str] = ()) -> list[Catalog]:
    """Extract all messages into the catalogs, and return them. Raises ClickException for an unknown language."""
    messages, updated = extracted(), []
    for path in dict.fromkeys([*map(path_of, languages), *paths()]):
        catalog = read(path)
        messages.creation_date = catalog.creation_date  # otherwise every update would change every file
        catalog.update(messages, no_fuzzy_matching=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, catalog)
        updated.append(catalog)
    return updated


def write(path: Path, catalog: Catalog) -> None:
    with path.open("wb") as file:
        write_po(file, catalog, width=120, ignore_obsolete=True, include_lineno=False, omit_header=False)


def compile_one(path: Path) -> None:
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
    return iter(sorted(FOLDER.glob(f"*/{CATALOG}")))


def path_of(language: str) -> Path:
    """Return the path of the catalog of a language. Raises ClickException for an unknown language."""
    try:
        return FOLDER / str(Locale.parse(language, sep="-")) / CATALOG
    except (ValueError, UnknownLocaleError):
        raise click.ClickException(f"{language!r} is not a language, like de or pt-BR") from None


def read(path: Path) -> Catalog:
    """Return a catalog, an empty one for a new language."""
    locale = path.parts[-3]
    if not path.exists():
        return Catalog(
            locale, header_comment=f"# Messages of the site, {Locale.parse(locale).english_name}.", fuzzy=False
        )
    with path.open("rb") as file:
        return read_po(file, locale, domain=DOMAIN)
