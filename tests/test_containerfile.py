"""What deploy/Containerfile and deploy/compose.yaml say. tests/starter/test_container.py carries out the steps."""

import os
import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import ClassVar

import pytest
import yaml

from app.lib.settings.base_url import BaseUrl
from support.app import ROOT
from support.containerfile import instructions

INSTRUCTIONS = {"FROM", "WORKDIR", "COPY", "RUN", "VOLUME", "ENV", "EXPOSE", "USER", "HEALTHCHECK", "STOPSIGNAL", "CMD"}
COMPOSE = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())


def test_the_last_stage_runs_without_privileges_in_exec_form_from_a_pinned_base() -> None:
    steps = instructions()
    last = {step.word: step for step in steps}

    assert set(last) == INSTRUCTIONS
    assert all(re.search(r":3\.\d+-slim-\w+( AS \w+)?$", step.arguments) for step in steps if step.word == "FROM")
    assert all(step.is_exec_form for step in steps if step.word in ("RUN", "CMD", "VOLUME"))
    assert (last["USER"].arguments, last["STOPSIGNAL"].arguments) == ("10001:10001", "SIGTERM")
    assert not any(word in step.arguments for step in steps for word in ("SECRET_KEY", "PASSWORD"))
    assert any('"go+rX,go-w"' in step.arguments for step in steps)  # a clone may have been made with a umask of 077


def test_what_the_image_leaves_out_is_what_only_ipython_needs() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    blocks = re.findall(r"^([\w-]+)==.*?\n((?:    .*\n)+)", lock, re.MULTILINE)
    needed_by = {name: re.findall(r"^    #\s+(?:via )?([\w-]+)", block, re.MULTILINE) for name, block in blocks}
    only, before = {"ipython"}, set[str]()
    while only != before:
        before, only = only, only | {name for name, by in needed_by.items() if set(filter("via".__ne__, by)) <= only}

    listed = set(re.findall(r"^[\w-]+", (ROOT / "deploy/developers-only.txt").read_text(), re.MULTILINE))
    assert listed - {"pip", "setuptools", "flit-core"} == only - {"colorama"}  # Windows only


def test_the_site_of_compose_starts_after_the_migrations_and_has_no_secret_and_no_privilege() -> None:
    services = COMPOSE["services"]
    site, migrations, database = (services[name] for name in ("site", "migrations", "database"))

    assert site["depends_on"]["migrations"] == {"condition": "service_completed_successfully"}
    assert migrations["depends_on"]["database"] == {"condition": "service_healthy"}
    assert database["healthcheck"]["test"][0] == "CMD"
    assert (site["read_only"], site["cap_drop"], site["stop_grace_period"]) == (True, ["ALL"], "20s")
    secrets = {
        name for service in services.values() for name in service["environment"] if "PASS" in name or "KEY" in name
    }
    assert {name for name in secrets if not name.endswith("_FILE")} == set()  # the log has a random root password
    assert database["environment"]["MARIADB_ROOT_HOST"] == "localhost"
    assert all(file["file"].startswith("../instance/") for file in COMPOSE["secrets"].values())  # git ignores it


class Site(BaseHTTPRequestHandler):
    """A site that responds with 200 to its own host, and otherwise with 400."""

    host: ClassVar[str]

    def do_GET(self) -> None:
        self.send_response(200 if (self.path, self.headers["Host"]) == ("/healthz", self.host) else 400)
        self.end_headers()


@pytest.mark.parametrize("url", ["https://www.example.com", "https://bücher.example:8443", "https://straße.example"])
def test_the_health_check_sends_the_host_that_the_site_accepts(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Site, "host", BaseUrl.parse(url).netloc, raising=False)
    with HTTPServer(("127.0.0.1", 0), Site) as server:
        Thread(target=server.handle_request).start()
        settings = {"QUART_BASE_URL": url, "QUART_BIND": f"0.0.0.0:{server.server_port}"}
        done = subprocess.run([sys.executable, ROOT / "deploy/healthcheck.py"], env=os.environ | settings, check=False)

    assert done.returncode == 0


def test_the_log_of_each_container_has_a_limit() -> None:
    for service in COMPOSE["services"].values():
        assert set(service["logging"]["options"]) == {"max-size", "max-file"}
