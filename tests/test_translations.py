"""The catalogues of translations/, and the commands that look after them."""

import io
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo

from app import languages
from app.cli.translations import extracted, paths, read
from app.default_config import LANGUAGES
from app.languages import catalogue
from conftest import ROOT, serving
from people import page
from test_cli import QUART

PATHS = list(paths())
PLACEHOLDER = re.compile(r"%(?:\(\w+\))?.")
TAG = re.compile(r"<[^>]*>")
# French has a no-break space there: a line must not begin with them.
BARE = re.compile(
    r"(?<![\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\w/])[;:!?»]|«(?![\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}])"
)
ADDRESS = re.compile(r"https?://|\d:\d")

each_catalogue = pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path.parts[-3]))


def messages(path: Path) -> list[Message]:
    return [message for message in read(path) if message.id]


def pairs(path: Path) -> Iterator[tuple[str, str]]:
    """Return what each message is, and what it is called."""
    for message in messages(path):
        assert isinstance(message.id, str)
        assert isinstance(message.string, str)
        yield message.id, message.string


def test_every_language_of_the_site_has_a_catalogue() -> None:
    assert {path.parts[-3] for path in PATHS} == set(LANGUAGES) - {"en"}


@each_catalogue
def test_a_catalogue_is_complete(path: Path) -> None:
    catalog = read(path)

    assert [message.id for message in messages(path) if not message.string or message.fuzzy] == []
    assert (catalog.fuzzy, list(catalog.obsolete), str(catalog.locale)) == (False, [], path.parts[-3])


@each_catalogue
def test_a_catalogue_holds_what_the_site_says_and_nothing_else(path: Path) -> None:
    ours = {message.id for message in extracted() if message.id}

    assert len(ours) > 200
    assert {message.id for message in messages(path)} ^ ours == set()


@each_catalogue
def test_a_translation_has_the_placeholders_and_the_tags_of_its_message(path: Path) -> None:
    for said, translated in pairs(path):
        assert Counter(PLACEHOLDER.findall(translated)) == Counter(PLACEHOLDER.findall(said)), said
        assert Counter(TAG.findall(translated)) == Counter(TAG.findall(said)), said
        assert [translated.count(sign) for sign in "<>&"] == [said.count(sign) for sign in "<>&"], said


@each_catalogue
def test_a_translation_is_one_line_without_spaces_around_it(path: Path) -> None:
    for said, translated in pairs(path):
        assert re.sub("[\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}]", " ", translated).isprintable(), said
        assert translated == translated.strip(), said
        assert "  " not in translated, said


@each_catalogue
def test_what_the_site_reads_is_what_people_edit(path: Path) -> None:
    compiled = io.BytesIO()
    write_mo(compiled, read(path))

    assert path.with_suffix(".mo").read_bytes() == compiled.getvalue(), "quart --app run translations compile"


def test_french_keeps_its_marks_on_the_line() -> None:
    path = next(path for path in PATHS if path.parts[-3] == "fr")
    bare = [text for _, text in pairs(path) if BARE.search(ADDRESS.sub("", text))]

    assert bare == []


@pytest.mark.parametrize(
    ("text", "is_bare"),
    [("Mot : a", True), ("Vrai ?", True), ("«a »", True), ("Mot\N{NO-BREAK SPACE}: a", False), ("Vrai?", False)],
)
def test_a_mark_that_could_begin_a_line_is_found(text: str, *, is_bare: bool) -> None:
    assert bool(BARE.search(text)) is is_bare


# The commands, in a copy


class Copy:
    """A copy of the project, in which the commands may write."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "src/app/translations"
        shutil.copytree(ROOT / "src", root / "src", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "run.py", root)

    def run(self, *words: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        others = {name: value for name, value in os.environ.items() if not name.startswith("QUART_")}
        more = {"PYTHONPATH": str(self.root / "src"), "QUART_INSTANCE_PATH": str(self.root)}
        return subprocess.run(
            [QUART, "--app", "run", "translations", *words],
            cwd=self.root,
            env=others | more | {f"QUART_{key}": value for key, value in settings.items()},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    def succeed(self, *words: str) -> str:
        done = self.run(*words)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def contents(self) -> dict[str, bytes]:
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in files}


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def test_an_update_of_what_is_up_to_date_changes_nothing(copy: Copy) -> None:
    before = copy.contents()

    said = copy.succeed("update", "de")
    copy.succeed("compile")

    assert copy.contents() == before
    assert [line.split(":")[0] for line in said.splitlines()] == ["de", "fr"]
    assert said.count(" 0 of them to translate") == 2


def test_an_update_brings_new_messages_and_takes_old_ones(copy: Copy) -> None:
    with (copy.root / "src/app/templates/about.html").open("a") as file:
        file.write('{{ _("Something new") }}{{ ngettext("%(num)s day", "%(num)s days", 3) }}')
    (copy.root / "src/app/templates/mailbox/index.html").unlink()

    said = copy.succeed("update")
    once = copy.contents()
    copy.succeed("update")

    assert said.count(" 2 of them to translate") == 2
    assert copy.contents() == once
    assert b"Something new" in once["de/LC_MESSAGES/messages.po"]
    assert b"Open its link" not in once["de/LC_MESSAGES/messages.po"]


async def test_a_language_is_begun_translated_compiled_and_spoken(
    copy: Copy, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = copy.succeed("update", "es", "pt-BR")
    begun = copy.folder / "es/LC_MESSAGES/messages.po"
    begun.write_text(
        begun.read_text().replace('"Skip to the content"\nmsgstr ""', '"Skip to the content"\nmsgstr "Ir"')
    )
    copy.succeed("compile")

    assert re.search(r"^es: (\d+) messages, \1 of them to translate$", said, re.MULTILINE)
    assert "pt_BR" in said
    monkeypatch.setattr(languages, "FOLDER", copy.folder)
    catalogue.cache_clear()
    try:
        async with serving(settings | {"LANGUAGES": "en,es,pt-BR"}) as app:
            client = app.test_client()
            client.set_cookie("localhost", "language", "es")
            text = await page(client)
    finally:
        catalogue.cache_clear()
    assert '<html lang="es">' in text
    assert ">Ir</a>" in text
    assert "Português (Brasil)" in text
    assert "You are not logged in." in text  # what is not translated yet stays as it is


@pytest.mark.parametrize("name", ["klingon", "../../etc", "de_DE", "", "x" * 5000, "-1"])
def test_what_is_no_language_is_refused_in_a_line(copy: Copy, name: str) -> None:
    before = copy.contents()

    done = copy.run("update", "--", name)

    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"Error: .* is no language that is known, like de or pt-BR\n", done.stderr)
    assert copy.contents() == before


def test_a_site_whose_catalogue_is_gone_says_how_to_make_it(copy: Copy) -> None:
    (copy.folder / "de/LC_MESSAGES/messages.mo").unlink()

    refused = copy.run("compile")
    made = copy.run("compile", LANGUAGES="en")

    assert refused.returncode != 0
    assert "QUART_LANGUAGES=en quart --app run translations compile" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert (made.returncode, made.stderr) == (0, "")
    assert (copy.folder / "de/LC_MESSAGES/messages.mo").exists()


@pytest.fixture
def database_uri(sqlite_template: Path, tmp_path: Path) -> str:
    """Return one database: a catalogue does not depend on its kind."""
    (tmp_path / "app.db").write_bytes(sqlite_template.read_bytes())
    return "sqlite:///app.db"


def test_a_message_with_a_placeholder_can_be_said() -> None:
    for path in PATHS:
        for said, translated in pairs(path):
            values = dict.fromkeys(re.findall(r"%\((\w+)\)", said), "x")
            assert said % values, said
            assert translated % values, translated


def test_what_is_extracted_is_found_again() -> None:
    found: Catalog = extracted()

    assert found.get("Skip to the content") is not None
    assert found.get("Try again in %(wait)s.") is not None
