"""The messages of a noun in the catalogs of the other languages."""

from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog

from app.cli import translations
from app.lib.i18n.catalogs import noop as _

COMMON = (_("Deleted."),)  # only generated views use it, so this line keeps its translations
NOT_TRANSLATED = "Not translated yet: this is the English text."


def add_messages() -> dict[Path, int]:
    """Add the new messages with their English text, and return how many there are in each catalog.

    A comment marks them as not translated. With an empty text the pages would be the same, but the tests reject it.
    """
    known = {path: {message.id for message in translations.read(path)} for path in translations.paths()}
    translations.update_all()
    return {path: fill_in(path, ids) for path, ids in known.items()}


def fill_in(path: Path, known: set[Any]) -> int:
    catalog: Catalog = translations.read(path)
    new = [message for message in catalog if message.id not in known and not message.string]
    for message in new:
        message.string = message.id
        message.user_comments = [NOT_TRANSLATED]
    translations.write(path, catalog)
    translations.compile_one(path)
    return len(new)


def remove_messages() -> None:
    """Remove the messages that the code no longer has."""
    translations.update_all()
    for path in translations.paths():
        translations.compile_one(path)
