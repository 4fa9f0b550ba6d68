"""Uploads of any size over a real connection: what they cost us, and routes that take more than others."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from quart import Quart, request
from quart.typing import ResponseReturnValue

from app.middleware import authentication
from app.middleware.body_guard import takes_body
from conftest import serving
from site_process import Site, running_site

pytestmark = pytest.mark.slow

MEGABYTE = 1_000_000
PATIENCE = 30  # seconds
KINDS = {
    "form": "application/x-www-form-urlencoded",
    "multipart": "multipart/form-data; boundary=line",
    "json": "application/json",
}
MULTIPART = b'--line\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("site")) as site:
        yield site


def upload(site: Site, kind: str, *, megabytes: int) -> bytes:
    """Send chunk after chunk as long as the server takes them, and return what it answered."""
    head = f"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"%x\r\n%s\r\n" % (MEGABYTE, b"x" * MEGABYTE)
    first = MULTIPART if "multipart" in kind else b"["
    with socket.create_connection(("127.0.0.1", urlsplit(site.url).port or 0), PATIENCE) as connection:
        connection.sendall(head.encode() + b"%x\r\n%s\r\n" % (len(first), first))
        try:
            for _ in range(megabytes):
                connection.sendall(chunk)
            return connection.recv(MEGABYTE)
        except ConnectionError:  # it has hung up, maybe after an answer that we did not stop to read
            return b""


def memory(site: Site) -> int:
    """Return the most that the process has ever held, in megabytes."""
    status = Path(f"/proc/{site.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1000


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_300_megabytes_cost_no_memory_and_hold_nobody_up(site: Site, kind: str) -> None:
    before = memory(site)
    with httpx.Client(base_url=site.url) as other:
        times = []
        for _ in range(3):
            upload(site, kind, megabytes=100)
            began = time.monotonic()
            assert other.get("/about").status_code == 200
            times.append(time.monotonic() - began)

    assert memory(site) - before < 20
    assert max(times) < 2


def test_the_answer_to_a_chunked_upload_is_413(site: Site) -> None:
    def chunks() -> Iterator[bytes]:
        yield from (b"x" * 10_000 for _ in range(8))
        time.sleep(0.2)  # the server has read enough to answer
        yield b""

    assert httpx.post(f"{site.url}/login", content=chunks(), timeout=PATIENCE).status_code == 413


async def size_of_body() -> ResponseReturnValue:
    return {"size": len(await request.get_data())}


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    return {"INSTANCE_PATH": str(tmp_path), "SECRET_KEY": "k" * 32}


async def test_a_route_takes_more_when_it_says_so(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authentication, "PUBLIC_ENDPOINTS", {"more", "ordinary"})
    async with serving(settings, add_routes) as app:
        client = app.test_client()
        sizes = {"/more": 2 * MEGABYTE, "/ordinary": 64 * 1024}
        for path, size in sizes.items():
            answer = await client.post(path, data=b"x" * size)
            assert (answer.status_code, await answer.get_json()) == (200, {"size": size})
            assert (await client.post(path, data=b"x" * (size + 1))).status_code == 413


def add_routes(app: Quart) -> None:
    app.post("/ordinary", endpoint="ordinary")(size_of_body)
    app.post("/more", endpoint="more")(takes_body(max_bytes=2 * MEGABYTE, seconds=60)(copy_of(size_of_body)))


def copy_of(view: Any) -> Any:
    async def copied() -> ResponseReturnValue:
        answer: ResponseReturnValue = await view()
        return answer

    return copied


async def test_a_form_of_a_thousand_fields_is_refused_unparsed(settings: dict[str, Any]) -> None:
    async with serving(settings) as app:
        form = {"Content-Type": KINDS["form"]}
        answers = [await app.test_client().post("/login", data="a=&" * n, headers=form) for n in (999, 1000)]

    assert [answer.status_code for answer in answers] == [422, 413]
