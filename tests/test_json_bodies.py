"""JSON for a route that reads it, and numbers in a path: wrong ones are a 400 or a 404, never a 500."""

import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from quart import Quart, request
from quart.typing import ResponseReturnValue, TestClientProtocol

from app.auth import access
from app.lib.db import db
from app.services import users
from support.actions import create_user
from support.app import open_to, serving

READS_DEEP = sys.version_info >= (3, 13)  # JSON that is nested 9,000 times
NESTED = b'{"a":' * 9000 + b"1" + b"}" * 9000


@pytest.fixture
async def app(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Quart]:
    monkeypatch.setattr(access, "is_public", open_to({"echo", "show"}))
    async with serving(settings, add_routes) as app:
        yield app


def add_routes(app: Quart) -> None:
    @app.post("/echo")
    async def echo() -> ResponseReturnValue:
        return {"silent": await request.get_json(silent=True), "read": await request.get_json()}

    @app.get("/users/<int:user_id>")
    async def show(user_id: int) -> ResponseReturnValue:
        return {"found": await db.read(users.find, user_id) is not None}


async def test_json_that_cannot_be_read_is_400(client: TestClientProtocol) -> None:
    for body in b"[" * 60_000, b"\xff", b'"\xed\xa0\x80"', b"{", NESTED:
        response = await client.post("/echo", data=body, headers={"Content-Type": "application/json"})
        assert response.status_code in ({200, 400} if READS_DEEP and body is NESTED else {400}), body[:9]


async def test_json_that_can_be_read_is_passed_on(client: TestClientProtocol) -> None:
    response = await client.post("/echo", data='{"ä": [1, null]}', headers={"Content-Type": "application/json"})

    assert (await response.get_json())["read"] == {"ä": [1, None]}


async def test_a_number_that_no_row_can_have_is_404(app: Quart, client: TestClientProtocol) -> None:
    user = await create_user(app)

    assert {(await client.get(f"/users/{number}")).status_code for number in (2**63, 2**64, 10**250)} == {404}
    found = [await (await client.get(f"/users/{number}")).get_json() for number in (user.id, 2**63 - 1)]
    assert found == [{"found": True}, {"found": False}]
