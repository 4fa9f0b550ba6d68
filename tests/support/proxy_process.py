"""HAProxy in front of the site, as deploy/haproxy.cfg configures it."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.app import ROOT
from support.server_process import wait_until_it_listens

CONFIGURATION = ROOT / "deploy/haproxy.cfg"
PROGRAM = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin")


def configuration_for(folder: Path, *, port: int, sites: tuple[str, str], tls: bool) -> str:
    """Return deploy/haproxy.cfg with the ports and URLs of a test, and without a change of the Unix user."""
    bind = ("    bind :80\n", f"    bind 127.0.0.1:{port}\n")
    if tls:
        certificate = "    # bind :443 ssl crt /etc/haproxy/www.example.com.pem"
        bind = (f"{bind[0]}{certificate}", f"    bind 127.0.0.1:{port} ssl crt {folder}/both.pem")
    text = CONFIGURATION.read_text()
    for old, new in (
        bind,
        ("    user haproxy\n    group haproxy\n", ""),
        ("hdr Host www.example.com", f"hdr Host localhost:{port}"),
        ("server one 127.0.0.1:5001", f"server one {sites[0]}"),
        ("server two 127.0.0.1:5002", f"server two {sites[1]}"),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


@contextmanager
def running_proxy(folder: Path, *, port: int, sites: tuple[str, str], tls: bool = False) -> Iterator[None]:
    """Run HAProxy until the block ends. With `tls` the folder contains the certificate."""
    if PROGRAM is None:
        pytest.skip("no haproxy on this machine: apt-get install haproxy")
    configuration = folder / "haproxy.cfg"
    configuration.write_text(configuration_for(folder, port=port, sites=sites, tls=tls))
    with (folder / "haproxy.log").open("w") as log:
        process = subprocess.Popen([PROGRAM, "-db", "-f", str(configuration)], stdout=log, stderr=log)
    try:
        wait_until_it_listens(port)
        yield
    finally:
        process.terminate()
        process.wait(20)
