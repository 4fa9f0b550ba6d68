"""HAProxy or nginx in front of the site, as the files in deploy/ configure them."""

import getpass
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.app import ROOT
from support.mariadb_server import free_port
from support.server_process import wait_until_it_listens

CONFIGURATION = ROOT / "deploy/haproxy.cfg"
PATHS = "/usr/sbin:/usr/local/sbin:/usr/bin"
PROGRAM = shutil.which("haproxy", path=PATHS)
NGINX_CONFIGURATION = ROOT / "deploy/nginx.conf"
NGINX = shutil.which("nginx", path=PATHS)
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")  # folders of nginx


def configuration_for(folder: Path, *, port: int, sites: tuple[str, str], tls: bool) -> str:
    """Return deploy/haproxy.cfg with the ports and URLs of a test, and without a change of the Unix user."""
    http, https = f"127.0.0.1:{port if not tls else free_port()}", f"127.0.0.1:{port}"
    public = "    bind :443 ssl crt /etc/haproxy/www.example.com.pem alpn h2,http/1.1\n"
    redirect = "    http-request redirect scheme https code 308 unless { ssl_fc } or is_challenge\n"
    with_tls = public.replace(":443", https).replace("/etc/haproxy/www.example.com", f"{folder}/both")
    text = CONFIGURATION.read_text()
    for old, new in (
        ("    bind :80\n", f"    bind {http}\n"),
        (public, with_tls if tls else ""),
        (redirect, redirect if tls else ""),
        ("    log /dev/log local0 ", "    log stdout format raw local0 "),
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
    with running_until_the_end([PROGRAM, "-db", "-f", str(configuration)], folder / "haproxy.log", port):
        yield


@contextmanager
def running_nginx(folder: Path, *, port: int, sites: tuple[str, str]) -> Iterator[None]:
    """Run nginx with TLS until the block ends. The folder contains the certificate."""
    if NGINX is None:
        pytest.skip("no nginx on this machine: apt-get install nginx")
    text = NGINX_CONFIGURATION.read_text()
    kept = "".join(f"    {name}_temp_path {folder}/{name};\n" for name in TEMPORARY)
    for old, new in (
        ("user www-data;\npid /run", f"user {getpass.getuser()};\npid {folder}"),
        ("http {\n", f"http {{\n{kept}"),
        ("/var/log/nginx/error.log", f"{folder}/error.log"),
        ("/var/log/nginx/access.log", f"{folder}/access.log"),
        ("listen 80;", f"listen 127.0.0.1:{free_port()};"),
        ("listen 443 ", f"listen 127.0.0.1:{port} "),
        ("/etc/nginx/www.example.com.crt", f"{folder}/cert.pem"),
        ("/etc/nginx/www.example.com.key", f"{folder}/key.pem"),
        ("server 127.0.0.1:5001", f"server {sites[0]}"),
        ("server 127.0.0.1:5002", f"server {sites[1]}"),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (folder / "nginx.conf").write_text(text)
    command = [NGINX, "-c", str(folder / "nginx.conf")]
    subprocess.run([*command, "-t"], check=True, capture_output=True)
    with running_until_the_end([*command, "-g", "daemon off;"], folder / "nginx.log", port):
        yield


@contextmanager
def running_until_the_end(command: list[str], log_file: Path, port: int, *, host: str = "127.0.0.1") -> Iterator[None]:
    with log_file.open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_until_it_listens(port, host)
        yield
    finally:
        process.terminate()
        process.wait(20)
