"""A site with two workers and metrics."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.features.metrics.tests.scraping import MeasuredSite, measured_site
from support.load import instance_in


@pytest.fixture(scope="module")
def site(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeasuredSite]:
    instance = instance_in(tmp_path_factory.mktemp("metrics") / "instance", sqlite_template)
    with measured_site(instance, "--workers", "2", RATE_LIMIT_LOGINS_PER_IP="2 per hour") as site:
        yield site
