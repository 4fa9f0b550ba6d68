"""Sites in the process of the tests, for a browser: they start in a moment, and a test sees their templates."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypercorn.asyncio import serve
from jinja2 import Template
from quart import Quart
from quart.signals import template_rendered

from app.app_factory import create_app
from app.lib.server.serve import hypercorn_config
from support.app import SECRET_KEY, UNLIMITED
from support.mariadb_server import free_port
from support.server_process import wait_until_it_listens

# The event loop does not run during other tests. Afterwards the server would close every idle connection at the moment
# at which Playwright's `request` uses one. Unlike a browser, it does not send the request again.
KEEP_ALIVE_SECONDS = 3600


@dataclass
class ServedSite:
    """A served app, its URL, and the templates that it has rendered."""

    app: Quart
    url: str
    instance: Path
    rendered: list[str] = field(default_factory=list)

    def note(self, _app: Quart, template: Template, **_context: Any) -> None:
        self.rendered.append(str(template.name))


@asynccontextmanager
async def served(settings: dict[str, Any], *, port: int | None = None) -> AsyncIterator[ServedSite]:
    """Serve an app until the block ends, on a free port if none is given."""
    port, stop = port or free_port(), asyncio.Event()
    site = ServedSite(create_app(settings), f"http://localhost:{port}", Path(settings["INSTANCE_PATH"]))
    template_rendered.connect(site.note, site.app)
    config = hypercorn_config(f"127.0.0.1:{port}")
    config.keep_alive_timeout = KEEP_ALIVE_SECONDS
    serving = asyncio.create_task(serve(site.app, config, shutdown_trigger=stop.wait))
    try:
        await asyncio.to_thread(wait_until_it_listens, port)
        yield site
    finally:
        stop.set()
        await serving


SITES: dict[str, dict[str, Any]] = {
    "ordinary": UNLIMITED,
    "confirming": UNLIMITED | {"SECURITY_CONFIRMABLE": True},
    "long name": UNLIMITED | {"SITE_NAME": "The Very Long Name of a Bookshop & Sons of Ada Lovelace"},
    "strict": {"RATE_LIMIT_LOGINS_PER_IP": "1 per day"},
    "away": {"SQLALCHEMY_DATABASE_URI": "mysql+aiomysql://nouser@127.0.0.1:1/nowhere"},
}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def sites(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, ServedSite]]:
    """Serve one site for each set of settings. All have the same SECRET_KEY."""
    async with AsyncExitStack() as stack:
        found = {}
        for name, settings in SITES.items():
            folder = tmp_path_factory.mktemp(name)
            shutil.copy(sqlite_template, folder / "app.db")
            needed = {"INSTANCE_PATH": str(folder), "SECRET_KEY": SECRET_KEY}
            found[name] = await stack.enter_async_context(served(needed | settings))
        found["ordinary"].app.add_url_rule("/crash", endpoint="crash", view_func=crash)
        yield found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def served_site(sites: dict[str, ServedSite]) -> ServedSite:
    return sites["ordinary"]


async def crash() -> str:
    raise RuntimeError("on purpose")
