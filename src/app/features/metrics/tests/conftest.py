"""A site with metrics: in this process, or with two workers of its own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.features.metrics.folder import VARIABLE
from app.features.metrics.tests.scraping import MeasuredSite, measured_site
from support.load import instance_in
from support.mariadb_server import free_port

SENDING = {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": 1, "MAIL_DEFAULT_SENDER": "site@example.com"}


@pytest.fixture(scope="module")
def site(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeasuredSite]:
    instance = instance_in(tmp_path_factory.mktemp("metrics") / "instance", sqlite_template)
    with measured_site(instance, "--workers", "2", RATE_LIMIT_LOGINS_PER_IP="2 per hour") as site:
        yield site


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the counts, which the environment names."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "counts"))
    return tmp_path / "counts"


@pytest.fixture
def settings(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    return settings | SENDING | {"METRICS_BIND": f"127.0.0.1:{free_port()}"}
