"""The site behind HAProxy and nginx with TLS, as deploy/ describes them, and `check` against that deployment."""

import os
import re
import sqlite3
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from quart import Quart

from support.actions import EMAIL, PASSWORD
from support.app import ROOT, SECRET_KEY
from support.mariadb_server import free_port
from support.proxy_process import running_nginx, running_proxy
from support.site_process import running_site
from support.smtp_server import make_certificate

pytestmark = pytest.mark.programs

CSS = "/static/vendor/pico/pico.classless.min.css"
REGISTRATION = {"email": EMAIL, "password": PASSWORD, "password_confirm": PASSWORD}


@dataclass
class PublicSite:
    """The proxy, the public URL, the certificate that clients trust, the instance folder, and the settings."""

    proxy: str
    url: str
    certificate: Path
    folder: Path
    settings: dict[str, str]

    def browser(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, verify=ssl.create_default_context(cafile=str(self.certificate)))

    def check(self, *, trusts: Path | None = None, **settings: str) -> "subprocess.CompletedProcess[str]":
        """Run `quart --app run check` while the site runs."""
        own = self.settings | {
            "QUART_INSTANCE_PATH": str(self.folder),
            "SSL_CERT_FILE": str(trusts or self.certificate),
        }
        environment = os.environ | own | {f"QUART_{key}": value for key, value in settings.items()}
        command = [str(Path(sys.executable).with_name("quart")), "--app", "run", "check"]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module", params=["haproxy", "nginx"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PublicSite]:
    folder, port = tmp_path_factory.mktemp("public"), free_port()
    certificate, url = make_certificate(folder), f"https://localhost:{port}"
    settings = {"QUART_BASE_URL": url, "QUART_SECRET_KEY": SECRET_KEY, "QUART_TRUSTED_PROXIES": "1"}
    with running_site(folder, **settings) as server:
        address = server.url.removeprefix("http://").replace("localhost", "127.0.0.1")
        options: dict[str, Any] = {"port": port, "sites": (address, address)}
        is_nginx = request.param == "nginx"
        with running_nginx(folder, **options) if is_nginx else running_proxy(folder, **options, tls=True):
            yield PublicSite(request.param, url, certificate, folder, settings)


def test_a_user_registers_and_the_cookies_are_bound_to_the_host(site: PublicSite) -> None:
    with site.browser() as browser:
        response = browser.post("/register", data=REGISTRATION, headers={"Origin": site.url})
        page = browser.get("/").text

    assert (response.status_code, response.headers["location"]) == (303, "/")
    assert 'action="/logout"' in page
    cookies = response.headers.get_list("set-cookie")
    assert len(cookies) == 3
    assert all(cookie.startswith("__Host-") and "; Secure" in cookie for cookie in cookies)
    assert response.headers["strict-transport-security"] == "max-age=31536000"


def test_plain_http_is_redirected_but_for_the_challenges_of_the_certificate_authority(site: PublicSite) -> None:
    text = (site.folder / ("haproxy.cfg" if site.proxy == "haproxy" else "nginx.conf")).read_text()
    found = re.search(r"^ +(?:bind|listen) 127.0.0.1:(\d+);?$", text, re.MULTILINE)
    assert found
    with httpx.Client(base_url=f"http://localhost:{found[1]}") as browser:
        page, challenge = (browser.get(path) for path in ("/login", "/.well-known/acme-challenge/x"))

    assert (page.status_code, page.headers["location"][:8]) == (308, "https://")
    assert challenge.status_code in (502, 503)  # certbot does not run


def test_the_proxy_compresses_no_page_for_a_request_with_a_cookie(site: PublicSite) -> None:
    """The length of a compressed page would reveal its content to another site (BREACH)."""
    with site.browser() as browser:
        anonymous = "gzip" if site.proxy == "haproxy" else None
        for path, cookie, encoding in ("/", "", anonymous), ("/", "device=x", None), (CSS, "device=x", "gzip"):
            response = browser.get(path, headers={"Accept-Encoding": "gzip", "Cookie": cookie})
            assert (response.status_code, response.headers.get("content-encoding")) == (200, encoding)


def test_the_log_of_the_proxy_contains_no_token(site: PublicSite, app: Quart) -> None:
    links = {rule.rule for rule in app.url_map.iter_rules() if rule.rule.endswith("/<token>")}
    with site.browser() as browser:
        for link in links:
            browser.get(link.replace("<token>", "secret" * 8))
            browser.post(link.replace("<token>", "secret" * 8))
            browser.get(link.replace("<token>", "x"), params={"next": f"/{'secret' * 8}"})

    logs = ["access.log", "error.log"] if site.proxy == "nginx" else ["haproxy.log"]
    text = "".join((site.folder / name).read_text() for name in logs)
    assert len(links) == 5
    assert [link for link in links if f'{link.replace("<token>", "...")}" ' not in text] == []
    assert "secret" not in text


def test_another_site_cannot_send_our_forms_through_the_proxy(site: PublicSite) -> None:
    with site.browser() as browser:
        for origin in ("https://evil.example", "http://localhost", "null"):
            assert browser.post("/login", data=REGISTRATION, headers={"Origin": origin}).status_code == 403


def test_a_client_cannot_forge_its_ip_address(site: PublicSite) -> None:
    forged = {"X-Forwarded-For": "203.0.113.7", "X-Real-IP": "203.0.113.7", "Forwarded": "for=203.0.113.7"}
    with site.browser() as browser:
        browser.post("/register", data=REGISTRATION | {"email": "liar@example.com"}, headers=forged)

    with closing(sqlite3.connect(site.folder / "app.db")) as connection:
        assert {ip for (ip,) in connection.execute("SELECT ip FROM user_session")} == {"127.0.0.1"}


@pytest.mark.parametrize("name", ["haproxy", "nginx"])
def test_the_proxy_passes_on_no_header_that_only_a_proxy_may_set(name: str, tmp_path: Path) -> None:
    names = ("X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Forwarded", "traceparent", "tracestate", "Upgrade")
    port, received = free_port(), list[str]()
    make_certificate(tmp_path)

    class Backend(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/received":
                received.extend(map(str, self.headers.values()))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ready")

    with HTTPServer(("127.0.0.1", 0), Backend) as server:
        Thread(target=server.serve_forever).start()
        options: dict[str, Any] = {"port": port, "sites": (f"127.0.0.1:{server.server_port}",) * 2}
        with running_nginx(tmp_path, **options) if name == "nginx" else running_proxy(tmp_path, **options, tls=True):
            httpx.get(f"https://localhost:{port}/received", headers=dict.fromkeys(names, "forged"), verify=False)  # noqa: S501
        server.shutdown()

    assert received.count("127.0.0.1") == 1
    assert "forged" not in received


def test_a_client_cannot_name_another_host(site: PublicSite) -> None:
    with site.browser() as browser:
        assert browser.get("/", headers={"Host": "evil.example"}).status_code == 400
        assert browser.get("/", headers={"X-Forwarded-Host": "evil.example"}).status_code == 200


def test_check_finds_nothing_but_the_loopback_address(site: PublicSite) -> None:
    done = site.check(MAIL_SERVER="mail.example.invalid", MAIL_DEFAULT_SENDER="site@example.com")

    assert done.returncode == 1  # no machine has a public name to test with
    assert done.stderr.splitlines() == [f"Error: BASE_URL is {site.url}: set it to the public URL"]


def test_check_finds_a_wrong_number_of_proxies_certificate_or_key(site: PublicSite) -> None:
    lines = {
        "TRUSTED_PROXIES is 0, but there are 1: rate limits count all clients as one": site.check(TRUSTED_PROXIES="0"),
        "TRUSTED_PROXIES is 2, but there are 1: clients can forge their IP address": site.check(TRUSTED_PROXIES="2"),
        f"the certificate of {site.url} does not verify": site.check(trusts=Path(os.devnull)),
        "is another site, or has another SECRET_KEY": site.check(SECRET_KEY=SECRET_KEY[::-1]),
    }

    assert [line for line, done in lines.items() if line not in done.stderr] == []


def test_only_check_learns_how_a_request_arrived(site: PublicSite) -> None:
    with site.browser() as browser:
        assert browser.get("/healthz", headers={"X-Self-Check": "how did I arrive?"}).json() == {"status": "alive"}
