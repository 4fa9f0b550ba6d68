"""Which languages the site speaks, and to whom it speaks now.

English stands in the code and in the templates; translations/ holds the others. `gettext("Saved.")` says it in the
language of whoever is answered; `lazy_gettext` waits with that until it is shown. `quart --app run translations` looks
after the catalogues.
"""

import gettext as catalogues
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, tzinfo
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, cast

from babel import Locale, UnknownLocaleError
from babel.support import LazyProxy

SOURCE = "en"
FOLDER = Path(__file__).with_name("translations")
DOMAIN = "messages"


class Reader(NamedTuple):
    """Who is answered: their language, the form of their dates and numbers, and their time zone if they told it."""

    language: str = SOURCE
    locale: Locale = Locale(SOURCE)
    zone: tzinfo = UTC


NOBODY = Reader()  # somebody at the command line, who reads English
_reader: ContextVar[Reader] = ContextVar("reader", default=NOBODY)


def reader() -> Reader:
    """Return who is answered now."""
    return _reader.get()


def language() -> str:
    return reader().language


def known_language() -> str | None:
    """Return the language of whoever is answered; None at the command line, where an account's owner does not read."""
    return None if reader() is NOBODY else language()


def speak_to(someone: Reader) -> None:
    """Speak to this reader from now on, in this task."""
    _reader.set(someone)


@contextmanager
def speaking(language: str | None) -> Iterator[None]:
    """Speak a language inside the block, to somebody of whom nothing else is known."""
    known = language if language is not None and is_spoken(language) else SOURCE
    before = _reader.set(Reader(known, Locale.parse(known, sep="-")))
    try:
        yield
    finally:
        _reader.reset(before)


def gettext(message: str, **values: Any) -> str:
    """Say it in the reader's language, with the values in the places of their names: `%(name)s`."""
    return catalogue(language()).gettext(message) % values


def lazy_gettext(message: str) -> str:
    """Say it later, in the language of whoever it is shown to: for what is written down when the program starts."""
    return cast(str, LazyProxy(gettext, message, enable_cache=False))


def untranslated(message: str) -> str:
    """Mark a message that is said later, by `gettext`."""
    return message


@cache
def catalogue(language: str) -> catalogues.NullTranslations:
    """Return what messages are called in a language. Raises FileNotFoundError for one that the site does not speak."""
    if language == SOURCE:
        return catalogues.NullTranslations()
    return catalogues.translation(DOMAIN, FOLDER, [language.replace("-", "_")])


def is_spoken(language: str) -> bool:
    """Say whether there is a catalogue of this language."""
    try:
        Locale.parse(language, sep="-")
        catalogue(language)
    except (ValueError, UnknownLocaleError, OSError, struct.error):  # the last of a file that was cut short
        return False
    return True


def check_languages(languages: Sequence[str]) -> None:
    """Raise ValueError unless the site can speak all of them."""
    if not languages:
        raise ValueError("LANGUAGES is empty: the site speaks one at least")
    for name in languages:
        if not is_spoken(name):
            compile_it = "QUART_LANGUAGES=en quart --app run translations compile"
            raise ValueError(f"LANGUAGES names {name!r}, which has no compiled catalogue: {compile_it}")
