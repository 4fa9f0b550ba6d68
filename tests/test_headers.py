"""What every answer tells the browser."""

import pytest
from quart import Quart
from quart.typing import TestClientProtocol

from people import register


@pytest.mark.parametrize("path", ["/", "/api/", "/nowhere", "/change", "/static/css/main.css"])
async def test_every_answer_forbids_what_is_foreign(client: TestClientProtocol, path: str) -> None:
    answer = await client.get(path)

    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_what_depends_on_who_asks_is_kept_nowhere(app: Quart, client: TestClientProtocol) -> None:
    await register(client)

    for path in ("/", "/change", "/nowhere", "/static/nope.css"):
        answer = await client.get(path)
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Cookie" in answer.headers["Vary"]
