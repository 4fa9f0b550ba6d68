"""`quart --app run new` generates nouns whose checks and tests pass, and `--undo` restores the tree."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.app_factory import create_app
from app.cli.generator import names, nouns
from app.cli.generator.kinds import KINDS
from support.app import ROOT, SECRET_KEY, copy_tree
from support.commands import QUART

EVERY_TYPE = ["title:str", *(f"{kind}_1:{kind}" for kind in KINDS), *(f"{kind}_2:{kind}?" for kind in KINDS)]
EVERY_TYPE.remove("bool_2:bool?")  # the command rejects it
NOTE = ("note", *EVERY_TYPE)
# Names of the maximum length, and no imports except those that every noun needs.
LONGEST = ("a_reading_list_o18", f"{'x' * 28}:str", "name:str?", "--plural", "the_reading_list_s20")

# The tests that a noun could break, and its own tests. The other pages do not change.
AFFECTED = ["architecture", "deletion", "own_tables", "translations"]
AFFECTED = [f"tests/test_{name}.py" for name in (*AFFECTED, "notes", "the_reading_list_s20")]
AFFECTED += [f"tests/starter/test_{name}.py" for name in ("accessibility", "docs", "glossary")]
AFFECTED += ["tests/test_migrations.py"]
ONLY = "(not test_accessibility and not test_migrations) or note or reading or back_and_forth"


def run(copy: Path, *command: str) -> str:
    """Run a command in the copy, and return its output."""
    done = attempt(copy, *command)
    assert done.returncode == 0, done.stdout[-9000:] + done.stderr
    return done.stdout


def attempt(copy: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    settings = {"PYTHONPATH": "src", "QUART_INSTANCE_PATH": str(copy.parent), "QUART_SECRET_KEY": SECRET_KEY}
    environment = os.environ | settings | {"GIT_CONFIG_GLOBAL": os.devnull}
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)


def new(copy: Path, *words: str) -> str:
    return run(copy, QUART, "--app", "run", "new", *words)


def refusal(copy: Path, *words: str) -> str:
    """Return the error message with which the command fails."""
    done = attempt(copy, QUART, "--app", "run", "new", *words)
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    return line


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository with the whole tree in one commit, and two nouns that are not committed."""
    copy = copy_tree(tmp_path_factory.mktemp("new") / "copy")
    run(copy, "git", "init", "--quiet")
    run(copy, "git", "add", "--all")
    run(copy, "git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "--quiet", "--message=All")
    for words in (NOTE, LONGEST):
        written = new(copy, *words)
        assert re.search(r"^Wrote alembic/versions/\w+\.py$", written, re.MULTILINE)
    return copy


@pytest.mark.long
def test_the_generated_code_passes_the_linter_and_the_type_checker(copy: Path) -> None:
    for arguments in (("ruff", "check"), ("ruff", "format", "--check"), ("mypy",)):
        run(copy, sys.executable, "-m", *arguments)


@pytest.mark.long
def test_the_tests_of_the_nouns_and_those_that_they_affect_pass_on_both_databases(copy: Path) -> None:
    pytest_ = (sys.executable, "-m", "pytest", "-q", "-n2", "--dist=loadfile", "-m", "not slow", "-k", ONLY)

    done = attempt(copy, *pytest_, *AFFECTED)

    assert int(re.findall(r"(\d+) passed", done.stdout)[-1]) > 100
    if done.returncode:  # on a busy machine a timeout may have passed
        run(copy, *pytest_, *AFFECTED, "--last-failed")


@pytest.mark.long
def test_a_noun_is_removed_only_if_nothing_depends_on_it(copy: Path) -> None:
    assert "src/app/models/note.py exists already" in refusal(copy, *NOTE)
    assert "a later migration follows that of note" in refusal(copy, "note", "--undo")
    run(copy, sys.executable, "-m", "alembic", "upgrade", "head")
    refused = refusal(copy, LONGEST[0], "--undo")
    assert "the database has the table: run `.venv/bin/alembic downgrade" in refused
    run(copy, sys.executable, "-m", "alembic", "downgrade", "-2")

    with (copy / "src/app/models/note.py").open("a") as model:
        model.write("# a line\n")
    new(copy, LONGEST[0], "--undo")
    assert "changed since they were written" in refusal(copy, "note", "--undo")
    new(copy, "note", "--undo", "--force")

    assert run(copy, "git", "status", "--porcelain") == ""
    assert "no migration in alembic/versions was written by" in refusal(copy, "note", "--undo")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("Note title:str", "'Note' is not the name of a noun"),
        ("note_1_ title:str", "'note_1_' is not the name of a noun"),
        ("a_reading_list_of19 title:str", "'a_reading_list_of19' has more than 18 characters"),
        ("sheep title:str --plural sheep", "sheep is its own plural"),
        ("list title:str", "list is a word of Python"),
        ("class title:str", "class is a word of Python"),
        ("order title:str", "order is a reserved word of SQL"),
        ("date title:str", "date is a name that the generated code uses"),
        ("blueprint title:str", "Blueprint is a name that the generated code uses"),
        ("email title:str", "Email is a table, a class or a blueprint of the site"),
        ("user_session title:str", "user_session is a table, a class or a blueprint of the site"),
        ("sqlite_note title:str", "sqlite_note is a name of Alembic's or SQLite's own tables"),
        ("opinion title:str --plural healthz", "/healthz is a route of the site"),
        ("note", "one field must be a str that is not optional"),
        ("note title:str?", "one field must be a str that is not optional"),
        ("note title", "'title' is not NAME:TYPE"),
        ("note title:string", "Types: str, text, int, bool, date, datetime, decimal"),
        ("note title:str Due:date", "'Due' is not the name of a field"),
        ("note title:str title:text", "title is given more than once"),
        ("note title:str done:bool?", "'done:bool?': a bool is true or false"),
        ("note title:str note_id:int", "note_id is the id in the URL"),
        ("note title:str user_id:int", "user_id is a name that every table or form has"),
        ("note title:str data:str", "data is a name that every table or form has"),
        ("note title:str metadata:str", "metadata is a name that every table or form has"),
        ("note title:str type:str", "type is a word of Python"),
        ("note title:str key:str", "key is a reserved word of SQL"),
        ("note title:str date:date", "date is a name that the generated code uses"),
        (f"note title:str {' '.join(f'n{number}:int' for number in range(16))}", "there are 17 fields"),
    ],
)
def test_a_wrong_argument_is_named(words: str, reason: str, tmp_path: Path) -> None:
    name, *fields = words.split(" --plural ", maxsplit=1)[0].split(" ")
    plural = words.partition(" --plural ")[2] or None
    app = create_app({"INSTANCE_PATH": str(tmp_path), "SECRET_KEY": SECRET_KEY})

    with pytest.raises(nouns.WrongArguments, match=re.escape(reason)):
        names.check(app, ROOT, nouns.parse(name, fields, plural))


def test_a_noun_cannot_have_the_name_of_a_feature_whose_deletion_would_delete_its_migration(tmp_path: Path) -> None:
    feature = tmp_path / "src/app/features/gadgets/__init__.py"
    feature.parent.mkdir(parents=True)
    feature.touch()
    app = create_app({"INSTANCE_PATH": str(tmp_path), "SECRET_KEY": SECRET_KEY})

    with pytest.raises(nouns.WrongArguments, match="gadgets is a feature of the site"):
        names.check(app, tmp_path, nouns.parse("gadget", ["title:str"], None))


def test_most_plurals_are_known() -> None:
    plurals = {"note": "notes", "box": "boxes", "dish": "dishes", "class": "classes", "category": "categories"}
    plurals |= {"day": "days", "reading_list": "reading_lists"}

    assert {noun: nouns.plural_of(noun) for noun in plurals} == plurals
