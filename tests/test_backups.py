"""The backups of docs/how-to, made while the site writes: a site with the restored backup has the accounts."""

import asyncio
import itertools
import re
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from quart import Quart

from support.actions import log_in, register
from support.app import ROOT, SECRET_KEY, UNLIMITED, serving
from support.mariadb_server import MariaDB

pytestmark = pytest.mark.programs


@asynccontextmanager
async def writing(app: Quart) -> AsyncIterator[None]:
    """Register accounts one after the other, as long as the block runs."""
    await register(app.test_client())
    is_over = asyncio.Event()

    async def write() -> int:
        for number in itertools.count():
            if is_over.is_set():
                break
            await register(app.test_client(), email=f"user{number}@example.com")
        return number

    task = asyncio.create_task(write())
    yield
    is_over.set()
    assert await task


def documented(page: str, word: str) -> str:
    """Return the command of a page that contains a word."""
    text = (ROOT / "docs/how-to" / page).read_text()
    (command,) = [line for line in re.findall(r"^(?:\.venv/bin/python|mariadb).*$", text, re.MULTILINE) if word in line]
    return str(command).replace(".venv/bin/python", sys.executable)


async def run(command: str, folder: Path) -> None:
    process = await asyncio.create_subprocess_shell(command, cwd=folder)
    assert await process.wait() == 0


async def test_a_backup_of_sqlite_while_the_site_writes(app: Quart, settings: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "instance").symlink_to(tmp_path)
    async with writing(app):
        await run(documented("back-up-sqlite.md", "backup.db"), tmp_path)

    restored = tmp_path / "restored"
    restored.mkdir()
    shutil.copy(tmp_path / "backup.db", restored / "app.db")
    async with serving(settings | {"SQLALCHEMY_DATABASE_URI": "", "INSTANCE_PATH": str(restored)}) as site:
        assert (await log_in(site.test_client())).status_code == 303


async def test_a_backup_of_mariadb_while_the_site_writes(
    mariadb: MariaDB, mariadb_at_head: str, tmp_path: Path
) -> None:
    options = f"--host=127.0.0.1 --port={mariadb.port} --user=root"
    settings = UNLIMITED | {"SECRET_KEY": SECRET_KEY, "INSTANCE_PATH": str(tmp_path)}
    async with serving(settings | {"SQLALCHEMY_DATABASE_URI": mariadb_at_head}) as app, writing(app):
        dump = documented("use-mysql.md", "mariadb-dump")
        await run(dump.replace("--user=site --password site", f"{options} head"), tmp_path)
    mariadb.empty("head")

    url = mariadb.create_database("restored")
    restore = documented("use-mysql.md", "< backup.sql")
    await run(restore.replace("--user=site --password site", f"{options} restored"), tmp_path)
    async with serving(settings | {"SQLALCHEMY_DATABASE_URI": url}) as site:
        assert (await log_in(site.test_client())).status_code == 303
