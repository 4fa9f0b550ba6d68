"""How much of a request is read, and for how long, before anything parses it."""

import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from quart import Quart, Response, request
from quart.typing import ResponseReturnValue, TestClientProtocol

from app.auth import access
from app.lib.asgi import body_limit as limits
from app.lib.asgi.body_limit import DEFAULT_LIMIT, body_limit
from support.actions import create_user
from support.app import open_to, serving
from support.site_process import Site, running_site

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
MULTIPART = "multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
TYPED = b"email=ada%40example.com&password=correct+horse+battery+staple"
MEGABYTE = 1_000_000
TIMEOUT_SECONDS = 60


async def send(client: TestClientProtocol, *chunks: bytes, end: bool = True, **headers: str) -> Response:
    """Send the chunks to the login, without a length unless a header names one."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with client.request("/login", method="POST", headers=FORM | named) as connection:
        for chunk in chunks:
            await connection.send(chunk)
        if end:
            await connection.send_complete()
    return await connection.as_response()


async def test_a_body_of_64_kib_or_of_many_chunks_is_read_whole(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)

    whole = await send(client, TYPED, b"&x=".ljust(65_536 - len(TYPED), b"x"))
    in_chunks = await send(app.test_client(), *(TYPED[i : i + 1] for i in range(len(TYPED))), b"", b"")

    assert (whole.status_code, in_chunks.status_code) == (303, 303)
    assert DEFAULT_LIMIT == (65_536, 10)


async def test_a_longer_body_is_refused_with_413(client: TestClientProtocol, subtests: pytest.Subtests) -> None:
    too_much = b"x" * (DEFAULT_LIMIT.bytes + 1)
    for chunks, headers in (
        ([too_much], {}),
        ([b"x" * 1000] * 66, {}),
        ([too_much], {"Content_Length": "10"}),
        ([PART, *[b"x" * 10_000] * 7], {"Content_Type": MULTIPART}),
        ([PART * 1100, b"--b--"], {"Content_Type": MULTIPART}),
    ):
        with subtests.test(chunks=len(chunks), headers=headers):
            response = await send(client, *chunks, end=True, **headers)
            assert response.status_code == 413
            assert "Too large" in await response.get_data(as_text=True)


async def test_the_body_of_a_get_request_is_counted_as_well(client: TestClientProtocol) -> None:
    for version, headers in ("1.1", {"Transfer-Encoding": "chunked"}), ("1.1", {"Content-Length": "1"}), ("2", {}):
        async with client.request("/", http_version=version, headers=headers) as connection:
            await connection.send(b"x" * (DEFAULT_LIMIT.bytes + 1))
            await connection.send_complete()
        assert (await connection.as_response()).status_code == 413, (version, headers)


async def test_an_endless_or_announced_long_body_is_refused_at_once_and_delays_no_other_request(app: Quart) -> None:
    lengths = ["65537", "9" * 5000, "-1", "1_0", "abc", "", "5, 5"]
    async with asyncio.timeout(30):
        responses = await asyncio.gather(
            send(app.test_client(), b"x" * DEFAULT_LIMIT.bytes, b"x", end=False),
            *(send(app.test_client(), end=False, Content_Length=length) for length in lengths),
            *(app.test_client().get("/login") for _ in range(5)),
        )

    assert [response.status_code for response in responses] == [413] * (1 + len(lengths)) + [200] * 5


async def test_a_form_of_a_thousand_fields_is_refused_unparsed(client: TestClientProtocol) -> None:
    assert [(await send(client, b"a=&" * number)).status_code for number in (999, 1000)] == [422, 413]


async def test_a_slow_body_is_refused_with_408_and_a_slow_view_is_not(
    app: Quart, client: TestClientProtocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def respond_slowly() -> None:
        await asyncio.sleep(0.3)

    app.before_request(respond_slowly)
    monkeypatch.setattr(limits, "DEFAULT_LIMIT", DEFAULT_LIMIT._replace(seconds=0.2))
    silent = await send(client, TYPED, end=False)
    async with client.request("/login", method="POST", headers=FORM) as connection:
        for _ in range(10):
            await connection.send(b"x")
            await asyncio.sleep(0.04)
    trickling = await connection.as_response()

    assert (silent.status_code, trickling.status_code) == (408, 408)
    assert "Request timed out" in await silent.get_data(as_text=True)
    assert (await client.get("/login")).status_code == 200


async def test_a_route_may_read_more(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    @body_limit(max_bytes=2 * MEGABYTE, seconds=60)
    async def size() -> ResponseReturnValue:
        return {"size": len(await request.get_data())}

    @body_limit(max_bytes=2 * MEGABYTE, seconds=60)
    async def length() -> ResponseReturnValue:
        return {"length": len((await request.form)["text"])}

    def add_routes(app: Quart) -> None:
        app.add_url_rule("/size", "size", size, methods=["POST"])
        app.add_url_rule("/length", "length", length, methods=["POST"])

    monkeypatch.setattr(access, "is_public", open_to({"size", "length"}))
    async with serving(settings, add_routes) as app:
        response = await app.test_client().post("/size", data=b"x" * 2 * MEGABYTE)
        assert (response.status_code, await response.get_json()) == (200, {"size": 2 * MEGABYTE})
        assert (await app.test_client().post("/size", data=b"x" * (2 * MEGABYTE + 1))).status_code == 413
        text = b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\n' + b"x" * MEGABYTE + b"\r\n--b--\r\n"
        response = await app.test_client().post("/length", data=text, headers={"Content-Type": MULTIPART})
        assert (response.status_code, await response.get_json()) == (200, {"length": MEGABYTE})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("site")) as site:
        yield site


def upload(site: Site, content_type: str) -> None:
    """Send 100 chunks of a megabyte, or as many as the server reads."""
    head = f"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked"
    first = PART if content_type == MULTIPART else b"["
    with socket.create_connection(("127.0.0.1", urlsplit(site.url).port or 0), TIMEOUT_SECONDS) as connection:
        connection.sendall(head.encode() + b"\r\n\r\n%x\r\n%s\r\n" % (len(first), first))
        try:
            for _ in range(100):
                connection.sendall(b"%x\r\n%s\r\n" % (MEGABYTE, b"x" * MEGABYTE))
            connection.recv(MEGABYTE)
        except ConnectionError:  # the server has closed it, maybe after a response that was not read here
            pass


def largest_megabytes(site: Site) -> int:
    """Return the most memory that the process has ever held."""
    status = Path(f"/proc/{site.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1000


@pytest.mark.slow
def test_300_megabytes_cost_no_memory_and_delay_no_other_client(site: Site) -> None:
    with httpx.Client(base_url=site.url, timeout=TIMEOUT_SECONDS) as other:
        assert other.get("/login").status_code == 200
        before = largest_megabytes(site)
        for content_type in FORM["Content-Type"], MULTIPART, "application/json":
            upload(site, content_type)
            began = time.monotonic()
            assert other.get("/login").status_code == 200
            assert time.monotonic() - began < 5

    assert largest_megabytes(site) - before < 20


@pytest.mark.programs
def test_a_real_client_reads_the_413_of_its_chunked_upload(site: Site) -> None:
    def chunks() -> Iterator[bytes]:
        yield from (b"x" * 10_000 for _ in range(8))
        time.sleep(0.5)  # the server has read enough to respond
        yield b""

    assert httpx.post(f"{site.url}/login", content=chunks(), timeout=TIMEOUT_SECONDS).status_code == 413
