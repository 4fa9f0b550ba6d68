"""Whether the database has the tables that the code expects: Alembic's revisions, read without Alembic.

Who serves makes no migrations, and importing what makes them takes as long as importing half of the site.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, column, inspect, select, table
from sqlalchemy.ext.asyncio import AsyncSession

ROOT = Path(__file__).resolve().parents[3]
VERSIONS = ROOT / "alembic/versions"
NOT_OF_ALEMBIC = ("__init__", ".#")  # files that it leaves alone
VERSION = table("alembic_version", column("version_num"))


class UpgradeFailed(Exception):
    """What Alembic said last."""


def head_revision() -> str | None:
    """Return the newest revision in alembic/versions. Raises ValueError unless there is one."""
    return head_of(_revisions())


def is_known(revision: str) -> bool:
    """Say whether the code has a revision."""
    return revision in _revisions()


async def current_revision(session: AsyncSession) -> str | None:
    """Return the revision that the database is at; None for an empty one."""
    connection = await session.connection()
    return await connection.run_sync(_revision_of)


def upgrade() -> None:
    """Bring the database that the settings name to head: `alembic upgrade head`. Raises UpgradeFailed."""
    command = [sys.executable, "-m", "alembic", "--config", str(ROOT / "alembic.ini"), "upgrade", "head"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 # nobody's words
    if done.returncode:
        raise UpgradeFailed((done.stderr.splitlines() or ["alembic has failed"])[-1])


def head_of(revisions: dict[str, set[str]]) -> str | None:
    heads = sorted(set(revisions).difference(*revisions.values()))
    if len(heads) > 1:
        raise ValueError(f"alembic/versions has several heads, {' and '.join(heads)}: run `alembic merge heads`")
    return heads[0] if heads else None


def revisions_in(folder: Path) -> dict[str, set[str]]:
    """Return each revision with those that it follows: several where it merges."""
    return dict(_revision_in(path) for path in folder.glob("*.py") if not path.name.startswith(NOT_OF_ALEMBIC))


@cache
def _revisions() -> dict[str, set[str]]:
    return revisions_in(VERSIONS)


def _revision_in(migration: Path) -> tuple[str, set[str]]:
    """Read what a migration says of itself, and run nothing of it. Raises ValueError if it does not say it plainly."""
    try:
        facts = dict(_assigned(ast.parse(migration.read_text(encoding="utf-8")), "revision", "down_revision"))
        follows = facts["down_revision"] or ()
        return str(facts["revision"]), {follows} if isinstance(follows, str) else set(follows)
    except (KeyError, SyntaxError, ValueError, TypeError) as error:
        raise ValueError(f"{migration.name} does not say its revision, or which one it follows: {error}") from error


def _assigned(module: ast.Module, *names: str) -> Iterator[tuple[str, Any]]:
    for line in module.body:
        if isinstance(line, ast.Assign | ast.AnnAssign) and line.value:
            target = line.target if isinstance(line, ast.AnnAssign) else line.targets[0]
            if isinstance(target, ast.Name) and target.id in names:
                yield target.id, ast.literal_eval(line.value)


def _revision_of(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION.name):
        return None
    return ", ".join(sorted(connection.scalars(select(VERSION.c.version_num)))) or None
