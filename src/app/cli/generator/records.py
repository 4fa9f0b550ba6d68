"""The migration of a noun, which records the command that wrote it."""

import re
from pathlib import Path
from typing import NamedTuple

from alembic.script import ScriptDirectory
from alembic.util import rev_id

from app.cli.generator.files import Revision
from app.cli.generator.nouns import Noun, WrongArguments, parse

COMMAND = re.compile(r'^quart --app run new (.*?)^"""$', re.MULTILINE | re.DOTALL)


class Record(NamedTuple):
    noun: Noun
    revision: Revision


def next_revision(root: Path) -> Revision:
    """Return a new revision after the newest one. Raises WrongArguments if there are several."""
    heads = ScriptDirectory(str(root / "alembic")).get_heads()
    if len(heads) != 1:
        raise WrongArguments(f"alembic/versions has {len(heads)} heads: run `alembic merge heads` first")
    return Revision(rev_id(), heads[0])


def find(root: Path, name: str) -> Record:
    """Return what was generated for a noun. Raises WrongArguments."""
    for path in sorted((root / "alembic/versions").glob("*.py")):
        text = path.read_text()
        match = COMMAND.search(text)
        if match and match[1].split()[0] == name:
            return Record(noun_of(match[1].split()), revision_of(text))
    raise WrongArguments(f"no migration in alembic/versions was written by `quart --app run new {name} …`")


def noun_of(words: list[str]) -> Noun:
    """Return the noun of the words of a command."""
    plural = words.pop() if "--plural" in words else None
    return parse(words[0], [word for word in words[1:] if word != "--plural"], plural)


def revision_of(text: str) -> Revision:
    found = dict(re.findall(r'^(revision|down_revision) = "(\w+)"$', text, re.MULTILINE))
    return Revision(found["revision"], found["down_revision"])


def following(root: Path, revision: Revision) -> list[str]:
    """Return the names of the migrations that follow this one."""
    paths = sorted((root / "alembic/versions").glob("*.py"))
    return [path.name for path in paths if f'"{revision.id}"' in path.read_text() and revision.id not in path.name]
