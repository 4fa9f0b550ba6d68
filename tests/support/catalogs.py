"""Catalogs of two languages, so that no test depends on the languages that a site keeps."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo

from app.cli.translations import CATALOG, extracted
from app.lib.i18n import catalogs

LANGUAGES = ("en", "de", "fr")


@pytest.fixture(scope="session")
def marked_catalogs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of catalogs in which each message begins with the language, like "[de] Saved."."""
    folder, messages = tmp_path_factory.mktemp("translations"), [message.id for message in extracted() if message.id]
    for language in LANGUAGES[1:]:
        marked = Catalog(language)
        for message in messages:
            marked.add(message, f"[{language}] {message}")
        path = (folder / language / CATALOG).with_suffix(".mo")
        path.parent.mkdir(parents=True)
        with path.open("wb") as file:
            write_mo(file, marked)
    return folder


@pytest.fixture
def three_languages(
    settings: dict[str, Any], marked_catalogs: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, Any]]:
    """Let the site of the test have English and the two marked languages."""
    settings["LANGUAGES"] = LANGUAGES
    monkeypatch.setattr(catalogs, "FOLDER", marked_catalogs)
    catalogs.catalog.cache_clear()
    yield settings
    catalogs.catalog.cache_clear()
