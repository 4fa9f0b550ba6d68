"""Wrong options of the database stop the start, and the error shows what to write instead."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.app_factory import create_app
from app.lib.settings.loader import ConfigError
from support.app import SECRET_KEY

ROOT = Path(__file__).parents[1]


def refusal(query: str = "", **options: Any) -> str:
    """Return the reason for which the site does not start with these options of the URL or the engine."""
    settings = {"SQLALCHEMY_DATABASE_URI": f"mysql://localhost/site?{query}", "SQLALCHEMY_ENGINE_OPTIONS": options}
    with pytest.raises(ConfigError) as refused:
        create_app({"SECRET_KEY": SECRET_KEY} | settings)
    return str(refused.value).removeprefix("the database cannot be set up with these settings: ")


@pytest.mark.parametrize(
    ("option", "advice"),
    [
        ("ssl_ca=/no/such/ca.pem", "ssl_ca=/no/such/ca.pem"),
        ("ssl=perhaps", "ssl of the database is 'perhaps': write one of 1, true"),
        ("ssl_mode=preferred", "write one of disabled, required"),
        ("ssl_ca=/ca.pem&ssl_cipher=x", "ssl_ca=/ca.pem"),
        ("ssl_cipher=TLS_AES_256_GCM_SHA384", "write cipher suites of TLS 1.2 in OpenSSL's format"),
    ],
)
def test_a_wrong_tls_option_stops_the_start_with_advice(option: str, advice: str) -> None:
    assert advice in refusal(option)


def test_an_unknown_option_stops_the_start_with_a_similar_name() -> None:
    for name, advice in [
        ("ssl-mode", "did you mean ssl_mode?"),
        ("sslmode", "did you mean ssl_mode?"),
        ("sslaccept", "did you mean ssl_mode?"),
        ("useSSL", "did you mean ssl?"),
        ("tls", "did you mean ssl?"),
        ("passwd", "did you mean password?"),
        ("read_timeout", "did you mean the setting DATABASE_TIMEOUT?"),
        ("loop", "remove it"),
    ]:
        line = f"the database has no option {name}: {advice}"
        assert refusal(f"{name}=1") == refusal(connect_args={name: 1}) == line


def test_another_charset_or_isolation_level_stops_the_start() -> None:
    line = "charset of the database is 'utf8': remove it, because the site uses utf8mb4"
    assert refusal("charset=utf8") == refusal(connect_args={"charset": "utf8"}) == line
    for level in ("AUTOCOMMIT", "REPEATABLE-READ"):
        line = f"isolation_level is {level!r}: write READ COMMITTED or REPEATABLE READ or SERIALIZABLE"
        assert refusal(isolation_level=level) == line
        assert refusal(execution_options={"isolation_level": level}) == line


def test_a_wrong_number_or_choice_of_the_engine_stops_the_start() -> None:
    for name in ("pool_size", "max_overflow", "pool_recycle", "pool_timeout"):
        assert refusal(**{name: "5"}) == f"{name} is '5': write a number, without quotes"
    for name in ("connect_timeout", "port", "client_flag"):
        line = f"{name} of the database is 'x': write a number"
        assert refusal(f"{name}=x") == refusal(connect_args={name: "x"}) == line
    assert "reset_on_return" in refusal(pool_reset_on_return="perhaps")
    assert refusal(connect_args={"init_command": 5}).endswith("write one SQL statement in quotes")


def test_valid_options_are_accepted() -> None:
    for query, options in [
        ("charset=utf8mb4&connect_timeout=5&local_infile=0", {}),
        ("", {"isolation_level": "REPEATABLE_READ", "pool_size": 5, "pool_recycle": 3600, "pool_timeout": 2.5}),
        ("", {"connect_args": {"charset": "UTF8MB4", "auth_plugin": "mysql_native_password"}}),
    ]:
        settings = {"SQLALCHEMY_DATABASE_URI": f"mysql://localhost/site?{query}", "SQLALCHEMY_ENGINE_OPTIONS": options}
        create_app({"SECRET_KEY": SECRET_KEY} | settings)


@pytest.mark.programs
def test_alembic_prints_the_same_line(tmp_path: Path) -> None:
    url = "mysql://localhost/site?ssl-mode=REQUIRED"
    environ = {**os.environ, "QUART_SQLALCHEMY_DATABASE_URI": url, "QUART_INSTANCE_PATH": str(tmp_path)}
    command = [sys.executable, "-m", "alembic", "upgrade", "head"]
    done = subprocess.run(command, cwd=ROOT, env=environ, check=False, capture_output=True, text=True)

    assert done.returncode != 0
    assert "the database has no option ssl-mode: did you mean ssl_mode?" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
