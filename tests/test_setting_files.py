"""Settings from files that the environment names: QUART_SECRET_KEY_FILE and the same for every setting."""

import errno
from pathlib import Path

import pytest

from app.app_factory import create_app
from app.lib.settings.loader import ConfigError, unknown_settings
from support.app import SECRET_KEY

PUBLIC = {"BASE_URL": "https://www.example.com"}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QUART_INSTANCE_PATH", str(tmp_path))
    monkeypatch.setenv("QUART_SECRET_KEY_FILE", str(tmp_path / "key"))
    return tmp_path / "key"


def refusal() -> str:
    with pytest.raises(ConfigError) as refused:
        create_app(PUBLIC)
    return str(refused.value)


def test_a_setting_may_be_in_a_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(f"{SECRET_KEY} \n")
    (proxies := file.with_name("proxies")).write_text("2\n")
    monkeypatch.setenv("QUART_TRUSTED_PROXIES_FILE", str(proxies))

    app = create_app(PUBLIC)

    assert (app.config["SECRET_KEY"], app.config["TRUSTED_PROXIES"]) == (f"{SECRET_KEY} ", 2)
    assert list(unknown_settings(app)) == []


def test_a_file_that_cannot_be_read_stops_the_start(file: Path) -> None:
    reason = "the file that QUART_SECRET_KEY_FILE names cannot be read: No such file or directory"
    assert refusal() == f"{reason}; write the path of a file"

    file.write_bytes(b"\xff")
    assert refusal() == "the file that QUART_SECRET_KEY_FILE names is not text in UTF-8"


def test_a_setting_that_is_also_in_a_file_stops_the_start(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUART_SECRET_KEY", SECRET_KEY)

    assert refusal() == "QUART_SECRET_KEY and QUART_SECRET_KEY_FILE exclude each other: set one of them"


def test_an_env_file_that_cannot_be_read_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QUART_SKIP_DOTENV")
    monkeypatch.setattr("app.lib.settings.loader.ROOT", tmp_path)
    (env := tmp_path / ".env").write_bytes("QUART_DB_PASSWORD=pässwort".encode("latin-1"))
    assert refusal() == f"{env} is not text in UTF-8: save it in UTF-8"

    monkeypatch.setattr(Path, "is_file", deny)
    assert refusal() == f"{env} cannot be read: Permission denied"


def deny(_path: Path) -> bool:
    raise PermissionError(errno.EACCES, "Permission denied")
