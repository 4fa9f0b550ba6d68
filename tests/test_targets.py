"""Which methods and paths the app reads at all."""

from quart.typing import TestClientProtocol


async def test_a_target_that_is_none_is_refused_with_a_page(client: TestClientProtocol) -> None:
    paths = {"/%00": 400, "/static/%0a": 400, "/static/%00": 400, "/a" * 1001: 414}
    odd = [{"path": "?x"}, {"path": ""}, {"path": "http://["}, {"path": "*"}, {"method": "head"}, {"method": "get"}]
    responses = [(status, await client.get(path)) for path, status in paths.items()]
    responses += [(400, await client.get("/", scope_base=scope)) for scope in odd]

    for length, status in ((1000, 404), (1001, 400)):
        content_type = {"Content-Type": "text/plain;".ljust(length, "x")}
        responses.append((status, await client.get("/nowhere", headers=content_type)))

    for status, response in responses:
        assert response.status_code == status
        assert "Front page" in await response.get_data(as_text=True)
