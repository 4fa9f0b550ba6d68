"""The catalogs of src/app/translations/, and the commands that maintain them."""

import io
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from babel.messages.mofile import write_mo
from click import ClickException

from app.app_factory import create_app
from app.cli import translations as commands
from app.cli.translations import extracted, path_of, paths, read
from app.default_config import LANGUAGES
from app.lib.i18n import catalogs
from app.lib.i18n.catalogs import catalog
from app.lib.settings.loader import ConfigError
from support.actions import page
from support.app import ROOT, serving
from support.commands import CommandLine

PATHS = list(paths())
PLACEHOLDER = re.compile(r"%(?:\(\w+\))?.")
TAG = re.compile(r"<[^>]*>")
URL_OR_TIME = re.compile(r"https?://|\d:\d")
# French has a no-break space before these marks, so that no line begins with them.
BREAKABLE = re.compile(r"(?<![\u00a0\u202f\w/])[;:!?»]|«(?![\u00a0\u202f])")


def translations(path: Path) -> dict[str, str]:
    """Return the translation of each message."""
    return {str(message.id): str(message.string) for message in read(path) if message.id}


def test_every_language_of_the_site_has_a_complete_and_compiled_catalog() -> None:
    expected = {message.id for message in extracted() if message.id}
    assert {"Skip to the content", "Try again in %(wait)s."} <= expected
    assert {path.parts[-3] for path in PATHS} == set(LANGUAGES) - {"en"}
    for path in PATHS:
        catalog, compiled = read(path), io.BytesIO()
        write_mo(compiled, catalog)

        assert set(translations(path)) ^ expected == set()
        assert [message.id for message in catalog if message.id and (not message.string or message.fuzzy)] == []
        assert (catalog.fuzzy, list(catalog.obsolete), str(catalog.locale)) == (False, [], path.parts[-3])
        assert path.with_suffix(".mo").read_bytes() == compiled.getvalue(), "run `quart --app run translations compile`"


def test_a_translation_has_the_form_of_its_message() -> None:
    for message, translated in [pair for path in PATHS for pair in translations(path).items()]:
        for pattern in (PLACEHOLDER, TAG, re.compile("[<>&]")):
            assert Counter(pattern.findall(translated)) == Counter(pattern.findall(message)), message
        assert translated % dict.fromkeys(re.findall(r"%\((\w+)\)", message), "x")
        assert re.sub("[\u00a0\u202f]", " ", translated).isprintable(), message
        assert translated == translated.strip(), message
        assert "  " not in translated, message


def test_no_french_line_begins_with_a_punctuation_mark() -> None:
    assert [bool(BREAKABLE.search(text)) for text in ("Mot : a", "«a »", "Mot\u00a0: a", "Vrai?")] == [
        True,
        True,
        False,
        False,
    ]
    french = [text for path in PATHS if path.parts[-3] == "fr" for text in translations(path).values()]
    assert [text for text in french if BREAKABLE.search(URL_OR_TIME.sub("", text))] == []


@pytest.fixture
def copy(settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the folder of the catalogs in a copy of the code. It has none, until a command writes one."""
    shutil.copytree(ROOT / "src/app", tmp_path / "app", ignore=shutil.ignore_patterns("__pycache__", "*.woff2"))
    settings["LANGUAGES"], folder = ("en",), tmp_path / "app/translations"
    shutil.rmtree(folder, ignore_errors=True)
    for module in (catalogs, commands):
        monkeypatch.setattr(module, "FOLDER", folder)
    catalog.cache_clear()
    yield folder
    catalog.cache_clear()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_update_adds_new_messages_removes_old_ones_and_changes_nothing_else(
    copy: Path, command_line: CommandLine
) -> None:
    command_line.succeed("translations", "update", "es", "pt-BR")
    written = contents(copy)
    command_line.succeed("translations", "update")
    assert contents(copy) == written

    with (copy.parent / "templates/layout.html").open("a") as file:
        file.write('{{ _("Something new") }}{{ ngettext("%(num)s day", "%(num)s days", 3) }}')
    (copy.parent / "templates/dev_mailbox/index.html").unlink()
    command_line.succeed("translations", "update")
    updated = contents(copy)["es/LC_MESSAGES/messages.po"]
    assert (b"Something new" in updated, b"MAIL_SERVER is not set" in updated) == (True, False)


async def test_a_language_is_added_translated_compiled_and_served(
    copy: Path, command_line: CommandLine, settings: dict[str, Any]
) -> None:
    printed = command_line.succeed("translations", "update", "es", "pt-BR")
    added, message = copy / "es/LC_MESSAGES/messages.po", '"Skip to the content"\nmsgstr "'
    added.write_text(added.read_text().replace(message, f"{message}Ir"))
    command_line.succeed("translations", "compile")

    assert re.search(r"^es: (\d+) messages, \1 of them to translate$", printed, re.MULTILINE)
    async with serving(settings | {"LANGUAGES": "en,es,pt-BR"}) as app:
        client = app.test_client()
        client.set_cookie("localhost", "language", "es")
        text = await page(client)
    for part in ('<html lang="es">', ">Ir</a>", "Português (Brasil)", ">Log in</a>"):  # the last is English
        assert part in text


def test_an_unknown_language_is_refused_in_one_line(command_line: CommandLine) -> None:
    refused = command_line.refusal("translations", "update", "klingon")
    assert refused == "Error: 'klingon' is not a language, like de or pt-BR"
    for name in ("../../etc", "de_DE", "", "x" * 5000, "-1"):
        with pytest.raises(ClickException, match="is not a language"):
            path_of(name)


def test_a_missing_or_truncated_catalog_stops_the_start_with_the_command_that_compiles_it(
    copy: Path, command_line: CommandLine, settings: dict[str, Any]
) -> None:
    command_line.succeed("translations", "update", "de")
    command_line.succeed("translations", "compile")
    compiled = copy / "de/LC_MESSAGES/messages.mo"
    whole = compiled.read_bytes()
    for length in (len(whole) - 1, 19, 4, 0, None):
        compiled.unlink() if length is None else compiled.write_bytes(whole[:length])
        catalog.cache_clear()
        with pytest.raises(ConfigError, match=r"'de'.*`QUART_LANGUAGES=en quart --app run translations compile`"):
            create_app(settings | {"LANGUAGES": ("en", "de")})

    command_line.succeed("translations", "compile")
    assert compiled.read_bytes() == whole
