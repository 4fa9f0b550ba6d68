"""Catalogs of messages, and the locale that they are translated for.

Messages are in English in the code and the templates. src/app/translations/ has the other languages, which
`quart --app run translations` maintains. `gettext("Saved.")` translates now, `lazy_gettext` when the text is shown.
"""

import gettext as gettext_module
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

SOURCE = "en"  # the language of the messages in the code
FOLDER = Path(__file__).parents[2] / "translations"
DOMAIN = "messages"


class LocaleContext(NamedTuple):
    """The language of the texts, the format of dates and numbers, and the time zone; UTC if it is unknown."""

    language: str = SOURCE
    locale: Locale = Locale(SOURCE)
    zone: tzinfo = UTC


DEFAULT = LocaleContext()  # outside of requests: commands are in English
_context: ContextVar[LocaleContext] = ContextVar("locale_context", default=DEFAULT)


def get_locale_context() -> LocaleContext:
    """Return the locale of the current request."""
    return _context.get()


def current_language() -> str:
    return get_locale_context().language


def request_language() -> str | None:
    """Return the language of the request. None outside of requests, where it is not that of the account's user."""
    return None if get_locale_context() is DEFAULT else current_language()


def set_locale(context: LocaleContext) -> None:
    """Set the locale of the current task."""
    _context.set(context)


@contextmanager
def force_locale(language: str | None) -> Iterator[None]:
    """Translate into a language inside the block; into English if it is not supported."""
    supported = language if language is not None and is_supported(language) else SOURCE
    token = _context.set(LocaleContext(supported, Locale.parse(supported, sep="-")))
    try:
        yield
    finally:
        _context.reset(token)


def gettext(message: str, **values: Any) -> str:
    """Translate a message, and insert the values at `%(name)s`."""
    return catalog(current_language()).gettext(message) % values


def lazy_gettext(message: str, **values: Any) -> str:
    """Translate a message when it is shown: for texts at module level, and for the errors of services."""
    return cast(str, LazyProxy(gettext, message, enable_cache=False, **values))


def noop(message: str) -> str:
    """Mark a message for extraction. It is translated later, by `gettext`."""
    return message


@cache
def catalog(language: str) -> gettext_module.NullTranslations:
    """Return the catalog of a language. Raises FileNotFoundError if it is not compiled."""
    if language == SOURCE:
        return gettext_module.NullTranslations()
    return gettext_module.translation(DOMAIN, FOLDER, [language.replace("-", "_")])


def is_supported(language: str) -> bool:
    """Return whether there is a compiled catalog of this language."""
    try:
        Locale.parse(language, sep="-")
        catalog(language)
    except (ValueError, UnknownLocaleError, OSError, struct.error):  # struct.error: the file is truncated
        return False
    return True


class UnknownLanguage(ValueError):
    """A language has no compiled catalog. The text names it, and the command that compiles the catalogs."""


def check_languages(languages: Sequence[str]) -> None:
    """Raise ValueError without a language; UnknownLanguage unless there is a catalog of each."""
    if not languages:
        raise ValueError
    for name in languages:
        if not is_supported(name):
            command = "`QUART_LANGUAGES=en quart --app run translations compile`"
            raise UnknownLanguage(f"{name!r} has no compiled catalog, which {command} makes")
