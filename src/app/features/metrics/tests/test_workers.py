"""The metrics of a site with two workers."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from app.features.metrics.tests.scraping import MeasuredSite, Sample, Scrape, measured_site
from support.app import ROOT
from support.mariadb_server import free_port
from support.server_process import HYPERCORN, environment

pytestmark = pytest.mark.programs
PAGE = (ROOT / "docs/features/metrics.md").read_text()
ROW = re.compile(r"^\| `((?:http|site)_\w+)` \| (\w+) \|([^|]*)\|", re.MULTILINE)
ALERT = re.compile(
    r"      - alert: (\w+)\n        expr: (.+)\n        for: \d+[mh]\n        annotations:\n          summary: .+\n"
)
METRIC = re.compile(r"\b(?:http|site)_\w+")
LABEL = re.compile(r'\b(\w+)(?:=|!=|=~|!~)"')
HIDDEN = "recognisable"


def counters(scrape: Scrape) -> dict[Sample, float]:
    return {key: value for key, value in scrape.values.items() if key[0].endswith(("_total", "_count", "_bucket"))}


def test_the_counts_of_all_workers_are_added_up(site: MeasuredSite) -> None:
    before = site.scrape()
    for _ in range(30):  # each on its own connection, which the kernel assigns to one of the workers
        assert site.server.get("/register").status_code == 200

    now, page = site.scrape(), {"endpoint": "registration.new", "method": "GET", "status": "200"}
    assert now.sum("http_requests_total", **page) - before.sum("http_requests_total", **page) == 30
    duration = "http_request_duration_seconds"
    count, seconds = [
        now.sum(f"{duration}_{each}", endpoint="registration.new")
        - before.sum(f"{duration}_{each}", endpoint="registration.new")
        for each in ("count", "sum")
    ]
    assert count == 30
    assert 0 < seconds < 30
    assert now.sum("site_workers") == 2


def test_wrong_passwords_and_refusals_are_counted(site: MeasuredSite) -> None:
    form = {"email": f"{HIDDEN}@example.com", "password": HIDDEN}
    url = f"http://{site.server.address}/login"
    assert [httpx.post(url, data=form).status_code for _ in range(3)] == [422, 422, 429]

    scrape = site.scrape()
    assert scrape.sum("site_events_total", event="authentication_failed") == 2
    assert scrape.sum("site_rate_limited_total", limit="logins_per_ip") == 1
    assert scrape.sum("http_requests_total", endpoint="login.create", status="429") == 1
    site.wait_for_sum("site_hashing_passwords_total", 2)
    site.wait_for_sum("site_hashing_seconds_total", 0.001)
    site.wait_for_sum("site_database_calls_total", 3, pool="write")
    site.wait_for_sum("site_database_busy_seconds_total", 0.0001, pool="write")


def test_no_label_contains_text_of_a_client(site: MeasuredSite) -> None:
    before = site.scrape()
    with httpx.Client(base_url=f"http://{site.server.address}") as client:
        for number in range(40):
            hidden = f"{HIDDEN}{number}"
            client.get(f"/{hidden}/{hidden}@example.com?{hidden}")
            client.post(f"/{hidden}")
            client.get(f"/reset/{hidden}", headers={"User-Agent": hidden, "Referer": hidden, "X-Request-ID": hidden})
            client.request(hidden.upper(), "/register")
            client.get("/", headers={"Host": f"{hidden}.example"})

    scrape = site.scrape()
    assert HIDDEN not in scrape.text.lower()
    requests = {dict(labels)["method"] for (name, labels) in scrape.values if name == "http_requests_total"}
    assert requests == {"GET", "POST", "other"}
    for labels in (
        {"method": "GET", "endpoint": "unknown", "status": "400"},
        {"method": "GET", "endpoint": "unknown", "status": "404"},
        {"method": "other"},
    ):
        assert scrape.sum("http_requests_total", **labels) - before.sum("http_requests_total", **labels) == 40


def test_the_port_of_the_site_serves_no_metrics(site: MeasuredSite) -> None:
    assert site.server.get("/metrics").status_code == 404


def test_the_documentation_lists_every_metric_and_its_labels(site: MeasuredSite) -> None:
    site.server.get("/")
    scrape = site.scrape()
    kinds = {name + "_total" * (kind == "counter"): kind for name, kind in scrape.kinds.items()}
    rows = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in ROW.findall(PAGE)}

    assert {name: kind for name, (kind, _) in rows.items()} == kinds
    for name, labels in scrape.values:
        family = re.sub(r"_(bucket|count|sum)$", "", name)
        assert {label for label, _ in labels} - {"le"} == rows[family][1], name


def test_the_six_alerts_are_rules_about_metrics_that_exist(site: MeasuredSite) -> None:
    """The YAML was tested by hand with promtool, which is too large for this test."""
    site.server.get("/")
    (text,) = re.findall(r"```yaml\n(groups:\n  - name: site\n    rules:\n.*?)```", PAGE, re.DOTALL)
    alerts, scrape = ALERT.findall(text), site.scrape()
    assert len(alerts) == text.count("- alert:") == 6
    assert ALERT.sub("", text) == "groups:\n  - name: site\n    rules:\n"

    names = {name for name, _ in scrape.values}
    labels = {label for _, own in scrape.values for label, _ in own} | {"job"}
    for name, expression in alerts:
        assert set(METRIC.findall(expression)) <= names, name
        assert set(LABEL.findall(expression)) <= labels, name
        assert expression.count("(") == expression.count(")"), name
    assert ("site_events_total", (("event", "authentication_failed"),)) in scrape.values


def test_the_counts_of_a_killed_worker_remain_and_another_worker_serves_them(site: MeasuredSite) -> None:
    before, killed = site.scrape(), site.exporters[-1]
    os.kill(killed, signal.SIGKILL)

    site.server.wait_for(lambda: site.exporters[-1] != killed)
    now = site.scrape()
    assert [key for key, was in counters(before).items() if now.values[key] < was] == []
    assert site.server.get("/").status_code == 200
    site.wait_for_sum("site_workers", 2)  # with its replacement
    assert site.scrape().sum("site_workers") == 2


@pytest.mark.long
def test_the_workers_of_another_server_are_added_up_too(instance: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    with measured_site(instance, "-w", "2", "-b", address, command=HYPERCORN, address=address) as site:
        assert site.scrape().sum("site_workers") == 2


def test_metrics_are_off_by_default(instance: Path) -> None:
    code = """if True:
        import sys
        from app.app_factory import create_app
        from app.lib import logs
        app = create_app()
        print([name for name in sys.modules if "prometheus" in name], app.extensions["request_observers"])
        print(logs.listeners, app.while_serving_gens)"""
    env = environment(instance, {}) | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)

    imported, listeners = done.stdout.splitlines()
    assert imported == "[] []"
    assert listeners.startswith("[] [<async_generator object init_app.<locals>.work_while_serving")
    assert listeners.count("async_generator") == 1
