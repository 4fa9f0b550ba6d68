"""Websockets of a real server: the log names their rule, and a stop closes them at once."""

import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.app import migrate
from support.mariadb_server import free_port
from support.server_process import running

pytestmark = pytest.mark.programs

APP = """
import asyncio, sys
from quart import websocket
from app.app_factory import create_app
from app.auth import current_client, public, rate_limited
from app.lib import logs
from app.lib.i18n.catalogs import gettext
from app.lib.server.serve import listen, serve_app

app = create_app()

@app.websocket("/echo/<name>")
@public
async def echo(name):
    while True:
        await websocket.send(await websocket.receive())

@app.websocket("/ticks")
@public
async def ticks():
    while True:
        await websocket.send("tick")
        await asyncio.sleep(0.1)

@app.websocket("/client")
@public
@rate_limited("LOGINS_PER_IP")
async def client():
    client = current_client()
    await websocket.send(" ".join([client.ip, client.user_agent, str(client.language), gettext("Log in")]))

@app.websocket("/quiet")
@public
async def quiet():
    await websocket.accept()
    await asyncio.sleep(3600)

logs.set_up("text")
sys.exit(serve_app(app, listen(app.config["BIND"], workers=int(sys.argv[1]))))
"""
KEY = "MTIzNDU2Nzg5MDEyMzQ1Ng=="
HANDSHAKE = f"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"
GOING_AWAY = b"\x88\x02\x03\xe9"  # a close frame with the code 1001


def open_websocket(address: str, path: str, headers: str = "") -> socket.socket:
    host, port = address.split(":")
    client = socket.create_connection((host, int(port)), 20)
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{HANDSHAKE}{headers}\r\n".encode())
    status = client.recv(12)
    if status != b"HTTP/1.1 101":
        client.close()
    assert status == b"HTTP/1.1 101"
    return client


def read_to_the_end(client: socket.socket) -> bytes:
    with client:
        return b"".join(iter(lambda: client.recv(65536), b""))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stop_closes_websockets_at_once_and_the_log_names_their_rule(tmp_path: Path, workers: int) -> None:
    migrate("sqlite:///app.db", instance=tmp_path).check_returncode()
    address = f"127.0.0.1:{free_port()}"
    command = (sys.executable, "-c", APP, str(workers))
    with running(tmp_path, command=command, address=address, workers=workers) as server:
        clients = [open_websocket(address, path) for path in ("/echo/a-secret", "/ticks", "/quiet")]
        since = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        received = [read_to_the_end(client) for client in clients]
        assert server.process.wait(20) == 0
        seconds = time.monotonic() - since

    log = server.log.read_text()
    assert [data[-4:] for data in received] == [GOING_AWAY] * 3
    assert seconds < 9  # of a grace period of ten, on a busy machine
    assert "method=WEBSOCKET route=/echo/<name> status=101" in log
    assert not [word for word in ("a-secret", "Traceback", " error ", "grace_period") if word in log]


def frame(text: bytes) -> bytes:
    """Return a masked text frame, whose mask changes nothing."""
    length = bytes([0x80 + len(text)]) if len(text) < 126 else b"\xff" + len(text).to_bytes(8, "big")
    return b"\x81" + length + b"\0\0\0\0" + text


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    migrate("sqlite:///app.db", instance=tmp_path).check_returncode()
    address = f"127.0.0.1:{free_port()}"
    command = (sys.executable, "-c", APP, "1")
    with running(tmp_path, command=command, address=address, RATE_LIMIT_LOGINS_PER_IP="1 per day"):
        yield address


def test_a_websocket_has_the_client_and_its_language_and_is_rate_limited(address: str) -> None:
    headers = "User-Agent: Lynx\r\nAccept-Language: de\r\n"

    with open_websocket(address, "/client", headers) as client:
        received = b""
        while b"127.0.0.1 Lynx de Anmelden" not in received:
            received += client.recv(65536)
    with pytest.raises(AssertionError, match="429"):
        open_websocket(address, "/client", headers)


@pytest.mark.parametrize("messages", [frame(b"x" * 65537), frame(b"x") * 102], ids=["too long", "too many"])
def test_a_long_message_and_many_that_the_view_does_not_receive_close_the_websocket(
    address: str, messages: bytes
) -> None:
    with open_websocket(address, "/echo/name") as client:
        client.sendall(frame(b"x" * 65536))
        received = b""
        while received.count(b"x") < 65536:
            received += client.recv(65536)
    client = open_websocket(address, "/quiet")

    client.sendall(messages)

    read_to_the_end(client)  # which raises TimeoutError if the server does not close it
