"""The account page and what it stores."""

import re
from html import unescape

from quart import Quart
from quart.typing import TestClientProtocol

from app.services import users
from support.actions import EMAIL, page, read


async def value_in(client: TestClientProtocol, field: str, path: str = "/account") -> str:
    """Return the value of a field when a page is opened."""
    tag = re.search(rf'<input [^>]*id="{field}"[^>]*>', await page(client, path))
    assert tag
    value = re.search(r'value="([^"]*)"', tag[0])
    return unescape(value[1]) if value else ""


async def stored_name(app: Quart, email: str = EMAIL) -> str | None:
    """Return the name that the database has."""
    return str(name) if (name := (await read(app, users.get_by_email, email=email)).name) else None
