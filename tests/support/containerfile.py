"""The instructions of deploy/Containerfile."""

import json
import re
import shlex
from typing import NamedTuple

from support.app import ROOT

CONTAINERFILE = ROOT / "deploy/Containerfile"


class Instruction(NamedTuple):
    word: str
    options: dict[str, str]
    arguments: str

    @property
    def is_exec_form(self) -> bool:
        return self.arguments.startswith("[")

    @property
    def words(self) -> list[str]:
        """Return the arguments: of the exec form, which is JSON, or separated by spaces."""
        return list(json.loads(self.arguments)) if self.is_exec_form else shlex.split(self.arguments)


def instructions() -> list[Instruction]:
    text = re.sub(r"^#.*\n", "", CONTAINERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [instruction(line) for line in map(str.strip, text.splitlines()) if line]


def instruction(line: str) -> Instruction:
    word, rest = line.split(maxsplit=1)
    options = {}
    while option := re.match(r"--([\w-]+)=(\S+)\s+", rest):
        options[option[1]] = option[2]
        rest = rest[option.end() :]
    return Instruction(word, options, rest)
