"""An error of a setting never shows a password or a key that was written in the wrong place."""

import warnings
from pathlib import Path
from typing import Any

import pytest

from app.app_factory import create_app
from app.lib.settings.loader import ConfigError
from support.app import SECRET_KEY

KEY = "-----BEGIN PRIVATE KEY-----\nhunter2"


@pytest.fixture(autouse=True)
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QUART_INSTANCE_PATH", str(tmp_path))
    return tmp_path


def refusal(**settings: Any) -> str:
    with pytest.raises(ConfigError) as refused:
        create_app({"SECRET_KEY": SECRET_KEY} | settings)
    assert "hunter2" not in str(refused.value)
    return str(refused.value)


def test_a_secret_in_place_of_the_path_of_its_file_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECRET_KEY", "DB_PASSWORD"):
        monkeypatch.setenv(f"QUART_{name}_FILE", "hunter2")
        reason = f"the file that QUART_{name}_FILE names cannot be read: No such file or directory"
        assert refusal() == f"{reason}; write the path of a file"
        monkeypatch.delenv(f"QUART_{name}_FILE")


def test_a_key_in_place_of_the_path_of_its_file_is_not_shown() -> None:
    for name in ("ca", "cert", "key"):
        options = {"connect_args": {"ssl": {name: KEY}}}
        line = refusal(SQLALCHEMY_DATABASE_URI="mysql://localhost/site", SQLALCHEMY_ENGINE_OPTIONS=options)
        assert line.endswith(f"ssl_{name} of the database is not a path: write the path of a file")
    refusal(SQLALCHEMY_DATABASE_URI="mysql://localhost/site?ssl_cert=cert.pem&ssl_key=hunter2")


def test_a_database_password_with_an_at_sign_is_not_shown() -> None:
    for password in ("p@hunter2", "p@hun:hunter2", "p@h/hunter2", "p@h?hunter2"):
        line = refusal(SQLALCHEMY_DATABASE_URI=f"mysql://site:{password}@127.0.0.1/site?ssl_ca=a@b.pem")
        assert line == "SQLALCHEMY_DATABASE_URI has two @: write @ in the user or the password as %40"
    refusal(DB_NAME="site", SQLALCHEMY_DB_PREFIX="mysql://site:hunter2@127.0.0.1")
    create_app({"SQLALCHEMY_DATABASE_URI": "mysql://site:p%40hunter2@127.0.0.1/site?unix_socket=/run/a@b"})


def test_a_password_without_quotes_is_not_shown(instance: Path) -> None:
    for text, reason in [
        ("DB_PASSWORD = hunter2", "NameError: write text in quotes"),
        ("DB_PASSWORD = int('hunter2')", "ValueError"),
        ("DB_PASSWORD = hunter2 'x'", "SyntaxError: invalid syntax"),
        ("DB_PASSWORD = 'hunter2", "SyntaxError: unterminated string literal (detected at line 2)"),
    ]:
        (instance / "application.cfg.py").write_text(f"WORKERS = 1\n{text}\n")
        assert refusal() == f"instance/application.cfg.py, line 2: {reason}"

    (instance / "application.cfg.py").write_text("DB_PASSWORD = 'hunter2\\d'\n")
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        create_app()
    assert shown == []


def test_a_password_in_a_url_or_before_a_host_is_not_shown() -> None:
    for key, value, shown in [
        ("BASE_URL", "https://admin:hunter2@staging.example.com", "https://***@staging.example.com"),
        ("BASE_URL", "https://admin:/hunter2@staging.example.com", "https://***@staging.example.com"),
        ("MAIL_SERVER", "smtp://u:hunter2@smtp.example.com:587", "smtp://***@smtp.example.com:587"),
        ("DB_SERVER", "site:hunter2@localhost", "***@localhost"),
    ]:
        assert refusal(**{key: value}).startswith(f"{key} is '{shown}': write ")
