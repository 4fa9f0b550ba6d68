"""Which addresses are read at all."""

import pytest
from quart.typing import TestClientProtocol


@pytest.mark.parametrize(
    ("path", "status"), [("/%00", 400), ("/static/%0a", 400), ("/static/%00", 400), ("/a" * 1001, 414)]
)
async def test_an_address_that_is_none_of_ours_is_refused_with_our_page(
    client: TestClientProtocol, path: str, status: int
) -> None:
    answer = await client.get(path)

    assert answer.status_code == status
    assert "Front page" in await answer.get_data(as_text=True)


@pytest.mark.parametrize(
    "odd", [{"path": "?x"}, {"path": ""}, {"path": "http://["}, {"path": "*"}, {"method": "head"}, {"method": "get"}]
)
async def test_a_request_that_is_none_is_refused_with_our_page(client: TestClientProtocol, odd: dict[str, str]) -> None:
    answer = await client.get("/", scope_base=odd)

    assert answer.status_code == 400
    assert "Front page" in await answer.get_data(as_text=True)
