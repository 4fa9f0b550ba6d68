"""JSON for a route that reads it, and numbers in a path: what is none is the sender's mistake and not ours."""

import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from quart import Quart, request
from quart.typing import ResponseReturnValue

from app.middleware import authentication
from app.models import User, db
from conftest import serving
from people import create_user

READS_DEEP = sys.version_info >= (3, 13)  # what is nested 9,000 times, as long as it ends
JSON = {"Content-Type": "application/json"}


async def echo() -> ResponseReturnValue:
    return {"silent": await request.get_json(silent=True), "read": await request.get_json()}


async def show(id: int) -> ResponseReturnValue:  # noqa: A002 # as developers write it
    async def find(session: Any) -> User | None:
        return await session.get(User, id)  # type: ignore[no-any-return]

    return {"found": await db.read(find) is not None}


@pytest.fixture
async def app(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Quart]:
    """Serve a site with the pages of a developer who trusts what comes in."""
    monkeypatch.setattr(authentication, "PUBLIC_ENDPOINTS", {"echo", "show"})
    async with serving(settings, add_routes) as app:
        yield app


def add_routes(app: Quart) -> None:
    app.post("/echo")(echo)
    app.get("/users/<int:id>")(show)


@pytest.mark.parametrize(
    "body", [b"[" * 60_000, b'{"a":' * 9000 + b"1" + b"}" * 9000, b"\xff", b'"\xed\xa0\x80"', b"{"]
)
async def test_json_that_cannot_be_read_is_400(app: Quart, body: bytes) -> None:
    answer = await app.test_client().post("/echo", data=body, headers=JSON)

    assert answer.status_code in ({200, 400} if READS_DEEP and body.endswith(b"}") else {400})


async def test_json_that_can_be_read_is_handed_on(app: Quart) -> None:
    answer = await app.test_client().post("/echo", data='{"ä": [1, null]}', headers=JSON)

    assert (await answer.get_json())["read"] == {"ä": [1, None]}


@pytest.mark.parametrize("number", [2**63, 2**64, 10**250])
async def test_a_number_that_no_row_can_have_leads_nowhere(app: Quart, number: int) -> None:
    assert (await app.test_client().get(f"/users/{number}")).status_code == 404


async def test_a_number_that_a_row_can_have_is_looked_up(app: Quart) -> None:
    user = await create_user(app)
    client = app.test_client()

    found = [await (await client.get(f"/users/{number}")).get_json() for number in (user.id, 2**63 - 1)]

    assert found == [{"found": True}, {"found": False}]
