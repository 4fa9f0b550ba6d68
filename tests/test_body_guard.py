"""How much of a request is read, and for how long, before anything parses it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from quart import Quart, Response
from quart.datastructures import FileStorage
from quart.typing import TestClientProtocol

from app.middleware import body_guard
from app.middleware.body_guard import ORDINARY
from people import create_user

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
TYPED = b"email=ada%40example.com&password=correct+horse+battery+staple"


@pytest.fixture
def database_uri(sqlite_template: Path, tmp_path: Path) -> str:
    """Return one database: a body does not depend on its kind."""
    (tmp_path / "app.db").write_bytes(sqlite_template.read_bytes())
    return "sqlite:///app.db"


async def send(client: TestClientProtocol, *chunks: bytes, end: bool = True, **headers: str) -> Response:
    """Post the chunks to the log-in, without saying how long they are unless a header does."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with client.request("/login", method="POST", headers=FORM | named) as connection:
        for chunk in chunks:
            await connection.send(chunk)
        if end:
            await connection.send_complete()
    return await connection.as_response()


def test_the_ordinary_limit_is_64_kib_and_10_seconds() -> None:
    assert ORDINARY == (65_536, 10)


async def test_a_body_of_64_kib_is_read(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)

    answer = await send(client, TYPED, b"&x=".ljust(ORDINARY.bytes - len(TYPED), b"x"))

    assert answer.status_code == 303


async def test_a_body_in_many_pieces_is_read_whole(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)

    answer = await send(client, *(TYPED[i : i + 1] for i in range(len(TYPED))), b"", b"")

    assert answer.status_code == 303


@pytest.mark.parametrize(
    ("version", "says"), [("1.1", {"Transfer-Encoding": "chunked"}), ("1.1", {"Content-Length": "1"}), ("2", {})]
)
async def test_the_body_of_what_only_asks_is_counted_as_well(
    client: TestClientProtocol, version: str, says: dict[str, str]
) -> None:
    async with client.request("/", http_version=version, headers=says) as connection:
        await connection.send(b"x" * (ORDINARY.bytes + 1))
        await connection.send_complete()

    assert (await connection.as_response()).status_code == 413


@pytest.mark.parametrize("chunks", [[b"x" * (ORDINARY.bytes + 1)], [b"x" * 1000] * 66])
async def test_a_longer_one_is_too_much(client: TestClientProtocol, chunks: list[bytes]) -> None:
    answer = await send(client, *chunks)

    page = await answer.get_data(as_text=True)
    assert answer.status_code == 413
    assert "That is too much" in page
    assert '<nav aria-label="Site">' in page


async def test_an_endless_body_is_not_waited_for(client: TestClientProtocol) -> None:
    async with asyncio.timeout(5):
        answer = await send(client, b"x" * ORDINARY.bytes, b"x", end=False)

    assert answer.status_code == 413


@pytest.mark.parametrize("length", ["65537", "9" * 5000, "-1", "1_0", "abc", "", "5, 5"])
async def test_what_says_that_it_is_too_long_is_not_even_read(client: TestClientProtocol, length: str) -> None:
    async with asyncio.timeout(5):
        answer = await send(client, end=False, Content_Length=length)

    assert answer.status_code == 413


async def test_a_body_that_lies_about_its_length_is_counted(client: TestClientProtocol) -> None:
    answer = await send(client, b"x" * (ORDINARY.bytes + 1), Content_Length="10")

    assert answer.status_code == 413


async def test_a_file_in_pieces_is_counted_too(client: TestClientProtocol) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'

    answer = await send(client, head, *[b"x" * 10_000] * 7, Content_Type="multipart/form-data; boundary=b")

    assert answer.status_code == 413


async def test_a_small_file_is_nothing_that_a_form_of_ours_wants(client: TestClientProtocol) -> None:
    files = {"email": FileStorage(filename="ada.txt")}

    assert (await client.post("/login", files=files)).status_code == 422


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"no boundary"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--"),
        ("application/x-www-form-urlencoded", b"email=%ff%00&password=\xff%"),
        ("application/x-www-form-urlencoded; charset=nonsense", b"email=x"),
        ("application/x-www-form-urlencoded", b"a=1&" * 900),
        ("application/json", b"[" * 60_000),
        ("nonsense", b"\xff"),
    ],
)
async def test_a_body_that_is_no_form_of_ours_is_not_right(client: TestClientProtocol, kind: str, body: bytes) -> None:
    assert (await send(client, body, Content_Type=kind)).status_code == 422


async def test_a_form_of_countless_parts_is_too_much(client: TestClientProtocol) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'

    answer = await send(client, part * 1100, b"--b--", Content_Type="multipart/form-data; boundary=b")

    assert answer.status_code == 413


async def test_a_slow_body_is_given_up(client: TestClientProtocol, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_guard, "ORDINARY", body_guard.ORDINARY._replace(seconds=0.05))

    async with asyncio.timeout(5):
        answer = await send(client, TYPED, end=False)

    assert answer.status_code == 408
    assert "That took too long" in await answer.get_data(as_text=True)


async def test_a_body_that_drips_is_given_up(client: TestClientProtocol, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_guard, "ORDINARY", body_guard.ORDINARY._replace(seconds=0.2))
    async with client.request("/login", method="POST", headers=FORM) as connection:
        for _ in range(10):
            await connection.send(b"x")
            await asyncio.sleep(0.04)
    answer = await connection.as_response()

    assert answer.status_code == 408


async def test_only_the_reading_has_a_deadline(app: Quart, monkeypatch: pytest.MonkeyPatch) -> None:
    async def slow_page() -> None:
        await asyncio.sleep(0.2)

    monkeypatch.setattr(body_guard, "ORDINARY", body_guard.ORDINARY._replace(seconds=0.05))
    app.before_request(slow_page)

    assert (await app.test_client().get("/about")).status_code == 200


async def test_a_refused_body_does_not_hold_up_others(app: Quart) -> None:
    answers = await asyncio.gather(
        *(send(app.test_client(), end=False, Content_Length="70000") for _ in range(5)),
        *(app.test_client().get("/about") for _ in range(5)),
    )

    assert [answer.status_code for answer in answers] == [413] * 5 + [200] * 5


async def test_a_client_that_has_gone_is_not_answered(app: Quart) -> None:
    messages: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def note(message: Any) -> None:
        messages.append(message)

    scope: Any = {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "path": "/login",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
    }
    await app(scope, receive, note)

    assert messages == []


async def test_a_client_that_goes_later_still_ends_its_request(app: Quart) -> None:
    gone = asyncio.Event()

    async def wait_for_ever() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            gone.set()

    app.before_request(wait_for_ever)
    async with app.test_client().request("/about") as connection:
        await connection.send_complete()
        await asyncio.sleep(0.05)
        await connection.disconnect()
        await asyncio.wait_for(gone.wait(), 5)


@pytest.mark.parametrize(("path", "accept"), [("/api/", "*/*"), ("/login", "application/json")])
async def test_a_program_is_refused_in_json(client: TestClientProtocol, path: str, accept: str) -> None:
    answer = await client.post(path, data=b"x" * (ORDINARY.bytes + 1), headers={"Accept": accept})

    assert answer.status_code == 413
    assert (await answer.get_json())["error"]["code"] == "request_entity_too_large"
