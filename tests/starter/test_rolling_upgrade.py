"""An upgrade under load as in docs/how-to/deploy.md: the migration first, then one server after the other."""

import asyncio
import re
import sqlite3
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from alembic.script import ScriptDirectory

from support.app import ROOT, UNLIMITED, copy_project, migrate
from support.load import Crowd, instance_in
from support.mariadb_server import free_port
from support.proxy_process import PROGRAM, running_proxy
from support.server_process import Server, running

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="no haproxy on this machine: apt-get install haproxy"),
]

MIGRATION = """
revision = "c0ffee000001"
down_revision = "{head}"

import sqlalchemy as sa
from alembic import op

branch_labels = depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("user") as batch:
        batch.add_column(sa.Column("nickname", sa.String(50), nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("user") as batch:
        batch.drop_column("nickname")
"""
COLUMN = '    nickname: Mapped[str] = mapped_column(String(50), default="new code", server_default="")\n'


def new_version(root: Path) -> Path:
    """Copy the project, and add a column to its model, with the migration."""
    head = ScriptDirectory(str(ROOT / "alembic")).get_current_head()
    copy_project(root)
    (root / "alembic/versions/c0ffee000001_nickname.py").write_text(MIGRATION.format(head=head))
    model = root / "src/app/models/user.py"
    text, replaced = re.subn(r"^    id: Mapped.*\n", rf"\g<0>{COLUMN}", model.read_text(), count=1, flags=re.MULTILINE)
    assert replaced
    model.write_text(text)
    return root


class Versions(NamedTuple):
    """Two versions of the code, the URL of their database, and a stack that ends the servers with the test."""

    old: Path
    new: Path
    uri: str
    folder: Path
    stack: ExitStack

    def start(self, root: Path, address: str) -> Server:
        instance = self.folder / address
        instance.mkdir(exist_ok=True)
        settings: dict[str, Any] = {"SQLALCHEMY_DATABASE_URI": self.uri, "TRUSTED_PROXIES": "1"} | UNLIMITED
        return self.stack.enter_context(running(instance, address=address, folder=root, **settings))


def test_an_upgrade_with_a_new_column_under_load_loses_no_request(tmp_path: Path, sqlite_template: Path) -> None:
    port, addresses = free_port(), (f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}")
    database = instance_in(tmp_path / "database", sqlite_template) / "app.db"

    with ExitStack() as stack:
        versions = Versions(ROOT, new_version(tmp_path / "new"), f"sqlite:///{database}", tmp_path, stack)
        servers = [versions.start(ROOT, address) for address in addresses]
        stack.enter_context(running_proxy(tmp_path, port=port, sites=addresses))
        crowd = Crowd(replace(servers[0], address=f"127.0.0.1:{port}"), people=2, watched=("/healthz", "/"))
        asyncio.run(upgrade_under_load(crowd, servers, versions))

    assert {outcome.status for outcome in crowd.outcomes} == {200, 303}
    with closing(sqlite3.connect(database)) as connection:
        stored = dict(connection.execute("SELECT email, nickname FROM user"))
    assert set(crowd.acknowledged) <= stored.keys()
    assert set(stored.values()) == {"", "new code"}  # both versions wrote to the new table


async def upgrade_under_load(crowd: Crowd, servers: list[Server], versions: Versions) -> None:
    async with crowd.at_work(), asyncio.TaskGroup() as tasks:
        for _ in range(2):
            tasks.create_task(crowd.post_forms())
        done = await asyncio.to_thread(migrate, versions.uri, instance=versions.folder, root=versions.new)
        assert done.returncode == 0, done.stderr
        await crowd.have_sent("/register", 5)
        for server in servers:
            assert await asyncio.to_thread(server.end) == 0
            await asyncio.to_thread(versions.start, versions.new, server.address)
            await crowd.have_sent("/language", 50)  # HAProxy has noticed that the server is back
        await crowd.have_sent("/register", 5)
        crowd.go_on = False
