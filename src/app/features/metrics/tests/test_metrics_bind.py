"""The setting METRICS_BIND."""

from typing import Any

import pytest

from app.app_factory import create_app
from app.features.metrics import bind
from app.features.metrics.folder import VARIABLE
from app.lib.settings.loader import ConfigError, unknown_settings
from support.commands import CommandLine


@pytest.mark.parametrize("value", ["9100", "127.0.0.1", "127.0.0.1:99999", "unix:metrics.sock", "127.0.0.1:5000"])
def test_a_bind_address_that_cannot_be_used_stops_the_start(settings: dict[str, Any], value: str) -> None:
    with pytest.raises(ConfigError, match=f"METRICS_BIND is '{value}'"):
        create_app(settings | {"METRICS_BIND": value})


def test_another_name_of_the_bind_address_is_reported(settings: dict[str, Any]) -> None:
    app = create_app(settings | {"METRICS_PORT": 9100})

    assert list(unknown_settings(app)) == [("METRICS_PORT", "METRICS_BIND")]


def test_metrics_that_would_count_in_memory_stop_the_start(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE)

    with pytest.raises(ConfigError, match=f"set {VARIABLE} in the environment"):
        create_app(settings)


@pytest.mark.parametrize(
    ("value", "is_public"),
    [
        ("127.0.0.1:9100", False),
        ("[::1]:9100", False),
        ("localhost:9100", False),
        ("10.0.0.5:9100", False),
        ("0.0.0.0:9100", True),
        ("[::]:9100", True),
        ("93.184.216.34:9100", True),
    ],
)
async def test_a_bind_address_that_other_networks_may_reach_is_reported(
    settings: dict[str, Any], value: str, *, is_public: bool
) -> None:
    app = create_app(settings | {"METRICS_BIND": value})

    assert bool(await bind.check(app.config)) == is_public


def test_the_command_check_reports_it(command_line: CommandLine) -> None:
    done = command_line.run("check", METRICS_BIND="0.0.0.0:9100")

    assert done.exit_code == 1
    assert "Error: METRICS_BIND is 0.0.0.0:9100, which other networks may reach" in done.stderr
