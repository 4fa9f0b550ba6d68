"""What comes over the wire before the app sees it, and what Hypercorn alone would do with it."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from site_process import Site, running_site

PATIENCE = 30  # seconds
UPGRADE = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("site")) as site:
        yield site


def connected(site: Site) -> socket.socket:
    return socket.create_connection(("127.0.0.1", urlsplit(site.url).port or 0), PATIENCE)


@pytest.mark.parametrize(
    "head",
    [
        UPGRADE + b"Connection: upgrade\r\n\r\n",
        UPGRADE + KEY + b"Connection: upgrade, \xe9\r\n\r\n",
        UPGRADE + KEY + b"Connection: upgrade\r\nSec-WebSocket-Protocol: \xe9\r\n\r\n",
        UPGRADE + KEY + b"Connection: upgrade\r\nSec-WebSocket-Extensions: \xe9\r\n\r\n",
    ],
    ids=["no key", "connection", "protocol", "extensions"],
)
def test_a_handshake_that_is_none_is_answered_and_closed(site: Site, head: bytes) -> None:
    with connected(site) as connection:
        connection.sendall(head)

        assert connection.recv(1000).startswith(b"HTTP/1.1 400")
        connection.settimeout(3)
        assert connection.recv(1000) == b""


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: " + b"a" * 60_000,
        b"A" * 60_000 + b" / HTTP/1.1\r\nHost: localhost",
        b"GET /nope HTTP/1.1\r\nHost: localhost\r\nAccept: a" + b" " * 60_000 + b"b",
        b"GET /nope HTTP/1.1\r\nHost: localhost\r\nAccept: a" + b" " * 15_000 + b"b",
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
        b"Content-Type: multipart/form-data; boundary=" + b"b" * 60_000,
    ],
    ids=["host", "method", "accept", "shorter accept", "boundary"],
)
def test_a_long_head_holds_nobody_up(site: Site, head: bytes) -> None:
    with connected(site) as connection:
        connection.sendall(head + b"\r\n\r\nx")
        began = time.monotonic()
        assert httpx.get(f"{site.url}/healthz", timeout=PATIENCE).status_code == 200

    assert time.monotonic() - began < 1


def test_no_line_of_the_log_is_long_and_none_is_a_traceback(
    site: Site, tmp_path_factory: pytest.TempPathFactory
) -> None:
    log = next(tmp_path_factory.getbasetemp().glob("site*/server.log")).read_text()

    assert max(map(len, log.splitlines())) < 4000
    assert "Traceback" not in log


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_client_that_reads_nothing_does_not_keep_it_from_ending(tmp_path: Path, workers: str) -> None:
    with running_site(tmp_path, "--workers", workers) as site, socket.socket() as greedy:
        greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        greedy.connect(("127.0.0.1", urlsplit(site.url).port or 0))
        greedy.sendall(b"GET /static/vendor/pico/pico.classless.min.css HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200)
        time.sleep(0.5)
        began = time.monotonic()
        os.kill(site.process.pid, signal.SIGTERM)

        assert site.process.wait(PATIENCE) == 0
        assert time.monotonic() - began < 15


def test_a_client_that_has_gone_is_let_go(tmp_path: Path) -> None:
    """Hypercorn alone waits five seconds for the next request."""
    with running_site(tmp_path) as site:
        time.sleep(0.5)  # those who asked whether it runs have gone
        before = sockets_of(site.process.pid)
        with connected(site) as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.recv(1000).startswith(b"HTTP/1.1 200")
            assert sockets_of(site.process.pid) == before + 1
        time.sleep(0.5)

        assert sockets_of(site.process.pid) == before


def sockets_of(pid: int) -> int:
    return sum(str(file.readlink()).startswith("socket:") for file in Path(f"/proc/{pid}/fd").iterdir())
