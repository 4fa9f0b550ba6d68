"""Requests that Hypercorn handles before the app does, with and without the patches."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.load import instance_in
from support.mariadb_server import free_port
from support.server_process import HYPERCORN, TIMEOUT_SECONDS, Server, running

pytestmark = pytest.mark.slow

H2C = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
PRIOR_KNOWLEDGE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
UPGRADE = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
NO_KEY = UPGRADE + b"Connection: upgrade\r\n\r\n"
LOWER_CASE = b"head / HTTP/1.1\r\nHost: localhost\r\n\r\n"
NOT_TEXT = UPGRADE + KEY + b"Connection: upgrade\r\nSec-WebSocket-Protocol: \xe9\r\n\r\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("site"), "--upgrade") as server:
        yield server


def response_to(server: Server, request: bytes) -> tuple[bytes, bool]:
    """Return the beginning of the response, and whether the server then closed the connection."""
    host, port = server.address.split(":")
    with socket.create_connection((host, int(port)), TIMEOUT_SECONDS) as connection:
        connection.sendall(request)
        response = connection.recv(1000)[:12]
        connection.settimeout(2)
        try:
            while connection.recv(1000):
                pass
        except TimeoutError:
            return response, False
        return response, True


def test_no_client_switches_to_http2_without_tls(site: Server) -> None:
    assert response_to(site, H2C)[0] == b"HTTP/1.1 200"
    assert response_to(site, PRIOR_KNOWLEDGE)[0] == b"HTTP/1.1 400"


def test_a_method_in_small_letters_is_refused_and_closed(site: Server) -> None:
    for method in (b"head", b"Get", b"pOST"):
        assert response_to(site, LOWER_CASE.replace(b"head", method) * 2) == (b"HTTP/1.1 501", True)


def test_hypercorns_own_command_serves_with_the_patches(tmp_path: Path, sqlite_template: Path) -> None:
    folder, address = instance_in(tmp_path / "site", sqlite_template), f"127.0.0.1:{free_port()}"
    with running(folder, "--bind", address, command=HYPERCORN, address=address) as server:
        assert response_to(server, H2C)[0] == b"HTTP/1.1 200"


def test_an_invalid_websocket_handshake_is_refused_and_closed(site: Server, subtests: pytest.Subtests) -> None:
    connection = UPGRADE + KEY + b"Connection: upgrade, \xe9\r\n\r\n"
    extensions = UPGRADE + KEY + b"Connection: upgrade\r\nSec-WebSocket-Extensions: \xe9\r\n\r\n"
    for request in NO_KEY, NOT_TEXT, connection, extensions:
        with subtests.test(request=request):
            assert response_to(site, request) == (b"HTTP/1.1 400", True)


def test_unpatched_hypercorn_still_needs_the_patches(
    tmp_path: Path, sqlite_template: Path, subtests: pytest.Subtests
) -> None:
    folder, address = instance_in(tmp_path / "site", sqlite_template), f"127.0.0.1:{free_port()}"
    unpatched = (HYPERCORN[0], "app.app_factory:create_app()")
    with running(folder, "--bind", address, command=unpatched, address=address) as server:
        with subtests.test("if this fails, HTTP1Protocol can go"):
            assert response_to(server, H2C)[0] == b"HTTP/1.1 101"
        with subtests.test("if this fails, HTTP1Protocol need not refuse methods"):
            assert response_to(server, LOWER_CASE)[0] == b"HTTP/1.1 200"
            server.wait_for(lambda: "Too little data for declared Content-Length" in server.log.read_text())
        with subtests.test("if this fails, ClosingWSStream need not close connections"):
            assert response_to(server, NO_KEY) == (b"HTTP/1.1 400", False)
        with subtests.test("if this fails, ClosingWSStream need not catch UnicodeDecodeError"):
            assert response_to(server, NOT_TEXT) == (b"", True)
            server.wait_for(lambda: "UnicodeDecodeError" in server.log.read_text())


LONG_HEADS = {
    "host": b"GET / HTTP/1.1\r\nHost: " + b"a" * 60_000,
    "method": b"A" * 60_000 + b" / HTTP/1.1\r\nHost: localhost",
    "accept": b"GET /nope HTTP/1.1\r\nHost: localhost\r\nAccept: a" + b" " * 60_000 + b"b",
    "shorter accept": b"GET /nope HTTP/1.1\r\nHost: localhost\r\nAccept: a" + b" " * 15_000 + b"b",
    "boundary": b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
    b"Content-Type: multipart/form-data; boundary=" + b"b" * 60_000,
}


def test_a_long_head_delays_no_other_client(site: Server, subtests: pytest.Subtests) -> None:
    host, port = site.address.split(":")
    short = seconds_of_another_client(site)
    for name, head in LONG_HEADS.items():
        with subtests.test(name), socket.create_connection((host, int(port)), TIMEOUT_SECONDS) as connection:
            connection.sendall(head + b"\r\n\r\nx")
            assert seconds_of_another_client(site) < 1 + 10 * short


def seconds_of_another_client(server: Server) -> float:
    began = time.monotonic()
    assert server.get("/healthz").status_code == 200
    return time.monotonic() - began


def test_no_log_line_is_long_and_none_is_a_traceback(site: Server) -> None:
    log = site.log.read_text()

    assert max(map(len, log.splitlines())) < 4000
    assert "Traceback" not in log
