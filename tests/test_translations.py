"""The catalogues of translations/, and the commands that look after them."""

import io
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Message
from babel.messages.mofile import write_mo
from click import ClickException

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
# French has a no-break space there: a line must not begin with them.
BARE = re.compile(
    r"(?<![\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\w/])[;:!?»]|«(?![\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}])"
)
ADDRESS = re.compile(r"https?://|\d:\d")


def messages(path: Path) -> list[Message]:
    return [message for message in read(path) if message.id]


def pairs(path: Path) -> Iterator[tuple[str, str]]:
    """Return each message with its translation."""
    for message in messages(path):
        assert isinstance(message.id, str)
        assert isinstance(message.string, str)
        yield message.id, message.string


def test_every_language_of_the_site_has_a_catalogue() -> None:
    assert {path.parts[-3] for path in PATHS} == set(LANGUAGES) - {"en"}


def test_a_catalogue_is_complete_and_compiled() -> None:
    ours = {message.id for message in extracted() if message.id}
    assert len(ours) > 200
    assert {"Skip to the content", "Try again in %(wait)s."} <= ours
    for path in PATHS:
        catalog, compiled = read(path), io.BytesIO()
        write_mo(compiled, catalog)

        assert {message.id for message in messages(path)} ^ ours == set()
        assert [message.id for message in messages(path) if not message.string or message.fuzzy] == []
        assert (catalog.fuzzy, list(catalog.obsolete), str(catalog.locale)) == (False, [], path.parts[-3])
        compile_it = "quart --app run translations compile"
        assert path.with_suffix(".mo").read_bytes() == compiled.getvalue(), compile_it


def test_a_translation_has_the_form_of_its_message() -> None:
    for path in PATHS:
        for message, translated in pairs(path):
            assert Counter(PLACEHOLDER.findall(translated)) == Counter(PLACEHOLDER.findall(message)), message
            assert Counter(TAG.findall(translated)) == Counter(TAG.findall(message)), message
            assert [translated.count(sign) for sign in "<>&"] == [message.count(sign) for sign in "<>&"], message
            values = dict.fromkeys(re.findall(r"%\((\w+)\)", message), "x")
            assert message % values
            assert translated % values
            one_line = re.sub("[\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}]", " ", translated)
            assert one_line.isprintable(), message
            assert translated == translated.strip(), message
            assert "  " not in translated, message


def test_no_french_line_begins_with_a_mark() -> None:
    for text in ("Mot : a", "Vrai ?", "«a »"):
        assert BARE.search(text)
    for text in ("Mot\N{NO-BREAK SPACE}: a", "Vrai?"):
        assert not BARE.search(text)
    path = next(path for path in PATHS if path.parts[-3] == "fr")
    assert [text for _, text in pairs(path) if BARE.search(ADDRESS.sub("", text))] == []


# The commands, in a copy


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the catalogues of a copy of the code, in which the commands write."""
    shutil.copytree(ROOT / "src/app", tmp_path / "app", ignore=shutil.ignore_patterns("__pycache__", "*.woff2"))
    for module in (catalogs, commands):
        monkeypatch.setattr(module, "FOLDER", tmp_path / "app/translations")
    catalog.cache_clear()
    yield tmp_path / "app/translations"
    catalog.cache_clear()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_update_of_what_is_up_to_date_changes_nothing(copy: Path, command_line: CommandLine) -> None:
    before = contents(copy)

    printed = command_line.succeed("translations", "update", "de")
    command_line.succeed("translations", "compile")

    assert contents(copy) == before
    assert [line.split(":")[0] for line in printed.splitlines()] == ["de", "fr"]
    assert printed.count(" 0 of them to translate") == 2


def test_an_update_adds_new_messages_and_removes_old_ones(copy: Path, command_line: CommandLine) -> None:
    templates = copy.parent / "templates"
    with (templates / "about.html").open("a") as file:
        file.write('{{ _("Something new") }}{{ ngettext("%(num)s day", "%(num)s days", 3) }}')
    (templates / "dev_mailbox/index.html").unlink()

    printed = command_line.succeed("translations", "update")

    updated = contents(copy)["de/LC_MESSAGES/messages.po"]
    assert printed.count(" 2 of them to translate") == 2
    assert (b"Something new" in updated, b"MAIL_SERVER is not set" in updated) == (True, False)


async def test_a_language_is_begun_translated_compiled_and_spoken(
    copy: Path, command_line: CommandLine, settings: dict[str, Any]
) -> None:
    printed = command_line.succeed("translations", "update", "es", "pt-BR")
    begun = copy / "es/LC_MESSAGES/messages.po"
    begun.write_text(
        begun.read_text().replace('"Skip to the content"\nmsgstr ""', '"Skip to the content"\nmsgstr "Ir"')
    )
    command_line.succeed("translations", "compile")

    assert re.search(r"^es: (\d+) messages, \1 of them to translate$", printed, re.MULTILINE)
    assert "pt_BR" in printed
    async with serving(settings | {"LANGUAGES": "en,es,pt-BR"}) as app:
        client = app.test_client()
        client.set_cookie("localhost", "language", "es")
        text = await page(client)
    assert '<html lang="es">' in text
    assert ">Ir</a>" in text
    assert "Português (Brasil)" in text
    assert "You are not logged in." in text  # not translated yet


def test_an_unknown_language_is_refused_in_one_line(command_line: CommandLine) -> None:
    refused = command_line.refusal("translations", "update", "klingon")
    assert refused == "Error: 'klingon' is not a language, like de or pt-BR"
    for name in ("../../etc", "de_DE", "", "x" * 5000, "-1"):
        with pytest.raises(ClickException, match="is not a language"):
            path_of(name)


def test_a_missing_catalogue_stops_the_start_with_the_command_that_makes_it(
    copy: Path, command_line: CommandLine
) -> None:
    (copy / "de/LC_MESSAGES/messages.mo").unlink()

    with pytest.raises(ConfigError, match="QUART_LANGUAGES=en quart --app run translations compile"):
        command_line.run("translations", "compile")
    assert command_line.run("translations", "compile", LANGUAGES="en").exit_code == 0
    assert (copy / "de/LC_MESSAGES/messages.mo").exists()
