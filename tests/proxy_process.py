"""HAProxy in front of the site, as in public: it speaks https to the world and HTTP/1.1 to us."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

CONFIGURATION = """
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend world
    bind 127.0.0.1:{port} ssl crt {folder}/both.pem alpn h2,http/1.1
    option forwardfor
    http-request set-header X-Forwarded-Proto https
    default_backend site
backend site
    server site 127.0.0.1:{site}
"""


def make_certificate(folder: Path) -> Path:
    """Make a certificate for localhost that signs itself, and return what a client has to trust."""
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *files, *name]
    subprocess.run(command, check=True, capture_output=True)
    (folder / "both.pem").write_text((folder / "cert.pem").read_text() + (folder / "key.pem").read_text())
    return folder / "cert.pem"


@contextmanager
def running_proxy(folder: Path, *, port: int, behind: str) -> Iterator[None]:
    """Run HAProxy until the block ends; the certificate lies in the folder."""
    program = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if program is None:
        pytest.skip("no haproxy on this machine: apt-get install haproxy")
    configuration = folder / "haproxy.cfg"
    configuration.write_text(CONFIGURATION.format(port=port, folder=folder, site=urlsplit(behind).port))
    process = subprocess.Popen([program, "-db", "-f", str(configuration)], stderr=subprocess.DEVNULL)
    try:
        wait_until_it_listens(port)
        yield
    finally:
        process.terminate()
        process.wait(20)


def wait_until_it_listens(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(port)
