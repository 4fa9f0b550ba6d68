"""The forms in which each setting may be written, and the sentence for a value that is refused."""

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.app_factory import create_app
from app.lib.settings import table
from app.lib.settings.loader import ConfigError
from support.app import DEFAULTS, SECRET_KEY, copy_project, serving

HTTPS = {"BASE_URL": "https://www.example.com"}


@pytest.fixture(autouse=True)
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QUART_INSTANCE_PATH", str(tmp_path))
    return tmp_path


def configured(**settings: Any) -> Any:
    return create_app({"SECRET_KEY": SECRET_KEY} | settings).config


def refusal(**settings: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        configured(**settings)
    return str(caught.value)


def test_a_setting_is_accepted_in_the_forms_of_other_tools() -> None:
    for key, written, value in [
        ("SECRET_KEY", SECRET_KEY.encode(), SECRET_KEY),
        ("SECRET_KEY", bytes(range(0xE0, 0x100)), bytes(range(0xE0, 0x100)).hex()),
        ("SECRET_KEY_FALLBACKS", [SECRET_KEY.encode(), SECRET_KEY], (SECRET_KEY, SECRET_KEY)),
        ("SECRET_KEY_FALLBACKS", f"{SECRET_KEY}\r\n{SECRET_KEY}x\n\n", (SECRET_KEY, f"{SECRET_KEY}x")),
        ("SECRET_KEY_FALLBACKS", f"{SECRET_KEY}, {SECRET_KEY}x", (SECRET_KEY, f"{SECRET_KEY}x")),
        ("SECRET_KEY_FALLBACKS", None, ()),
        ("SECURITY_PASSWORD_SALT", b"salt", "salt"),
        ("MAIL_DEFAULT_SENDER", ("Example", "site@example.com"), "Example <site@example.com>"),
        ("MAIL_DEFAULT_SENDER", ("Example, Inc.", "site@example.com"), '"Example, Inc." <site@example.com>'),
        ("MAIL_DEFAULT_SENDER", ('A "B" \\', "site@example.com"), r'"A \"B\" \\" <site@example.com>'),
        ("MAIL_DEFAULT_SENDER", (None, "site@example.com"), "site@example.com"),
        *((key, None, "") for key in ("MAIL_DEFAULT_SENDER", "MAIL_SERVER", "MAIL_PASSWORD", "DB_PASSWORD", "DB_NAME")),
        ("BASE_URL", "HTTPS://WWW.Example.com:443/", "https://www.example.com"),
        ("BASE_URL", "https://bücher.example:8443", "https://xn--bcher-kva.example:8443"),
        ("TRUSTED_HOSTS", ["bücher.example"], ("xn--bcher-kva.example",)),
    ]:
        assert configured(**{key: written})[key] == value


def test_an_unset_base_url_has_the_port_of_the_bind_address() -> None:
    for bind, port in (("127.0.0.1:8000", 8000), ("[::1]:8000", 8000), ("unix:/run/site.sock", 5000)):
        assert configured(BIND=bind)["BASE_URL"] == f"http://localhost:{port}"
    for base_url in (HTTPS["BASE_URL"], DEFAULTS["BASE_URL"]):
        assert configured(BIND="127.0.0.1:8000", BASE_URL=base_url)["BASE_URL"] == base_url


WRONG = ("perhaps", "", None, -1, "\0", object(), [5], {"a": 1}, b"\xff", 1e400)


def lines_for(key: str) -> list[tuple[Any, str]]:
    """Return what is said about each wrong value that a setting refuses."""
    refused = []
    for value in WRONG:
        try:
            table.read(key, value, DEFAULTS[key])
        except ValueError as error:
            refused.append((value, str(error)))
    return refused


def test_a_wrong_value_is_one_line_that_says_what_to_write_and_never_shows_a_default() -> None:
    lines = [(key, value, line) for key in DEFAULTS for value, line in lines_for(key)]

    assert len(lines) > 200
    for key, value, line in lines:
        assert line.startswith(f"{key} is wrong: write " if key in table.SECRETS else f"{key} is {value!r}: write ")
        assert "must be like" not in line


def test_a_python_or_json_list_is_refused_where_words_are_separated_by_commas() -> None:
    for text in ("['admin']", '["admin", "editor"]', "('admin',)", "{admin}", "'admin'", '"admin"'):
        with pytest.raises(ValueError, match="words separated by commas"):
            table.read("MY_ROLES", text, ())
        with pytest.raises(ValueError, match="keys separated by commas"):
            table.read("SECRET_KEY_FALLBACKS", text, ())
    assert table.read("MY_ROLES", " admin, chief editor ,", ()) == ("admin", "chief editor")


def test_a_password_in_the_options_of_the_engine_is_never_shown() -> None:
    message = refusal(SQLALCHEMY_ENGINE_OPTIONS='{"connect_args": {"password": "a long secret"}')  # a brace is missing

    assert message.startswith("SQLALCHEMY_ENGINE_OPTIONS is wrong: write a dict")


def test_a_setting_that_contradicts_another_stops_the_start() -> None:
    wrong: dict[str, tuple[Any, ...]] = {
        "SESSION_COOKIE_DOMAIN": (".example.com",),
        "SESSION_COOKIE_PATH": ("/shop",),
        "SESSION_COOKIE_HTTPONLY": (False, None),
        "QUART_AUTH_MODE": ("bearer", None),
        "QUART_AUTH_COOKIE_DOMAIN": ("example.com",),
        "QUART_AUTH_COOKIE_PATH": ("/shop", None),
        "QUART_AUTH_COOKIE_HTTP_ONLY": (False, None),
        "QUART_AUTH_COOKIE_SAMESITE": ("None", None),
        "APPLICATION_ROOT": ("/shop", None),
        "SESSION_COOKIE_NAME": ("shop",),
        "QUART_AUTH_COOKIE_SECURE": (False, None),
        "SESSION_COOKIE_SAMESITE": ("None",),
    }
    for key, value in ((key, value) for key, values in wrong.items() for value in values):
        assert refusal(**HTTPS, **{key: value}).startswith(f"{key} is {value!r}: remove it, because ")
    agreeing = {"SESSION_COOKIE_SECURE": True, "SESSION_COOKIE_SAMESITE": "Lax", "QUART_AUTH_MODE": "cookie"}
    agreeing |= {"SESSION_COOKIE_DOMAIN": None, "SESSION_COOKIE_PATH": None, "QUART_AUTH_COOKIE_DOMAIN": None}
    assert configured(**HTTPS, **agreeing)["SESSION_COOKIE_NAME"] == "__Host-session"


async def test_unknown_names_are_reported_at_the_start_with_the_closest_known_name(
    settings: dict[str, Any], instance: Path, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("QUART_WORKER", "2")
    monkeypatch.setenv("QUART_DB_HOST", "db.example.com")
    monkeypatch.setenv("QUART_TOTP_ISSUER", "none is similar")
    lines = ["SECURITY_REGISTRABLE = False", "DB_PORT = 3307", "SQLALCHEMY_TRACK_MODIFICATIONS = False", "COLOR = 1"]
    lines += ["SITE_URL = SITE_TITLE = ''", "MAX_CONTENT_LENGTH = 5", "SEND_LATER = 1"]
    (instance / "application.cfg.py").write_text("\n".join(lines))

    async with serving(settings):
        pass

    found = [line.partition("unknown_setting ")[2] for line in log.text.splitlines() if "unknown_setting" in line]
    assert found == [
        "name=QUART_DB_HOST closest=QUART_DB_SERVER",
        "name=QUART_TOTP_ISSUER closest=-",
        "name=QUART_WORKER closest=QUART_WORKERS",
        "name=DB_PORT closest=DB_SERVER",
        "name=SECURITY_REGISTRABLE closest=SECURITY_REGISTERABLE",
        "name=SITE_TITLE closest=SITE_NAME",
        "name=SITE_URL closest=BASE_URL",
    ]
    assert {record.levelno for record in log.records if record.getMessage() == "unknown_setting"} == {logging.WARNING}


@pytest.mark.programs
def test_every_entry_point_reads_the_same_env_file(tmp_path: Path) -> None:
    copy = copy_project(tmp_path / "site")
    (copy / ".env").write_text(f"QUART_SQLALCHEMY_DATABASE_URI=sqlite:///{tmp_path}/named.db\n")
    environ = {**os.environ, "PYTHONPATH": str(copy / "src"), "QUART_INSTANCE_PATH": str(tmp_path)}
    del environ["QUART_SKIP_DOTENV"]

    for command in (["alembic", "upgrade", "head"], ["alembic", "check"], ["quart", "--app", "run", "roles", "list"]):
        done = subprocess.run([sys.executable, "-m", *command], cwd=copy, env=environ, check=False, capture_output=True)
        assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.glob("*.db")] == ["named.db"]
