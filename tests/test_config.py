"""Where settings come from, which of them stop the start, and what follows from them."""

import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from app.app_factory import create_app
from app.lib.db.url import database_url, without_secrets
from app.lib.settings.loader import ConfigError
from app.lib.settings.secret_key import PUBLISHED
from support.actions import EMAIL, PASSWORD, create_user, log_in, page
from support.app import DEFAULTS, SECRET_KEY, serving

PUBLIC = {"BASE_URL": "https://www.example.com"}
SENDING = {"MAIL_SERVER": "mail.example.com", "MAIL_DEFAULT_SENDER": "site@example.com"}


@pytest.fixture(autouse=True)
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the instance folder that the environment names, as a deployment's does."""
    monkeypatch.setenv("QUART_INSTANCE_PATH", str(tmp_path))
    return tmp_path


def write_settings(instance: Path, text: str) -> None:
    (instance / "application.cfg.py").write_text(text)


def refusal(**overrides: Any) -> str:
    """Return the line with which a start fails; empty if it succeeds."""
    try:
        create_app({"SECRET_KEY": SECRET_KEY} | overrides)
    except ConfigError as error:
        line = str(error)
    else:
        line = ""
    assert "\n" not in line
    return line


# Sources


def test_without_settings_the_defaults_hold(instance: Path) -> None:
    config = create_app().config

    generated = {"SECRET_KEY", "INSTANCE_PATH"}
    assert {key: config[key] for key in DEFAULTS if key not in generated} == {
        key: default for key, default in DEFAULTS.items() if key not in generated
    }
    assert config["INSTANCE_PATH"] == str(instance)


def test_later_sources_win(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_settings(instance, "WORKERS = 2\nTRUSTED_PROXIES = 2\nSECURITY_PASSWORD_LENGTH_MIN = 12\n")
    monkeypatch.setenv("QUART_TRUSTED_PROXIES", "3")
    monkeypatch.setenv("QUART_SECURITY_PASSWORD_LENGTH_MIN", "13")

    config = create_app({"SECURITY_PASSWORD_LENGTH_MIN": 14}).config

    assert config["BIND"] == DEFAULTS["BIND"]
    assert (config["WORKERS"], config["TRUSTED_PROXIES"], config["SECURITY_PASSWORD_LENGTH_MIN"]) == (2, 3, 14)
    (other := instance / "other").mkdir()
    write_settings(other, "WORKERS = 5")
    app = create_app({"INSTANCE_PATH": other})
    assert (app.instance_path, app.config["WORKERS"]) == (str(other), 5)


def test_the_originals_instance_file_works_unchanged(instance: Path) -> None:
    original = {"SERVER_NAME": "localhost:5000", "DB_USERNAME": "shop", "DB_PASSWORD": "p@ss/word"}
    original |= {"DB_SERVER": "localhost", "DB_NAME": "shop", "SQLALCHEMY_DB_PREFIX": "mysql+mysqldb"}
    original |= {"SECRET_KEY": SECRET_KEY, "SECURITY_PASSWORD_SALT": "salt"}
    lines = [f"{key} = {value!r}" for key, value in original.items()]
    write_settings(instance, "\n".join([*lines, "SQLALCHEMY_TRACK_MODIFICATIONS = False"]))

    app = create_app()

    assert str(database_url(app.config)) == "mysql+aiomysql://shop:***@localhost/shop"
    assert app.config["SECURITY_PASSWORD_SALT"] == "salt"


def test_the_environment_keeps_the_types_of_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, text, value in [
        ("DB_PASSWORD", "12345", "12345"),
        ("DB_PASSWORD", "1e5", "1e5"),
        ("DB_PASSWORD", "true", "true"),
        ("DB_PASSWORD", ' "quoted" ', ' "quoted" '),
        ("DEBUG", "false", False),
        ("DEBUG", "1", True),
        ("SECURITY_REGISTERABLE", "no", False),
        ("SECURITY_REGISTERABLE", "ON", True),
        ("WORKERS", "4", 4),
        ("TRUSTED_HOSTS", "a.example, b.example:8443", ("a.example", "b.example:8443")),
        ("TRUSTED_HOSTS", "", ()),
        ("SESSION_IDLE", "3600", timedelta(hours=1)),
        ("DATABASE_TIMEOUT", "2.5", timedelta(seconds=2.5)),
        ("SQLALCHEMY_ENGINE_OPTIONS", '{"pool_size": 7}', {"pool_size": 7}),
    ]:
        monkeypatch.setenv(f"QUART_{key}", text)
        found = create_app().config[key]
        assert (found, type(found)) == (value, type(value)), key


def test_apps_of_one_process_share_nothing(tmp_path: Path) -> None:
    one = create_app({"BASE_URL": "http://localhost:1", "SQLALCHEMY_DATABASE_URI": "sqlite:///one.db"})
    two = create_app({"SECURITY_REGISTERABLE": False})
    one.config["SQLALCHEMY_ENGINE_OPTIONS"]["pool_size"] = 99
    three = create_app()

    assert [app.config["BASE_URL"] for app in (one, three)] == ["http://localhost:1", DEFAULTS["BASE_URL"]]
    assert three.config["SQLALCHEMY_ENGINE_OPTIONS"] == {}
    assert [app.extensions["db"].url.database for app in (one, two)] == [f"{tmp_path}/one.db", f"{tmp_path}/app.db"]
    assert ["registration" in app.blueprints for app in (one, two, three)] == [True, False, True]


# The key that signs the cookies


def test_a_public_site_needs_a_key_that_an_attacker_cannot_guess(instance: Path) -> None:
    create_app()
    assert (instance / "secret_key").exists()  # it does not sign for a public site

    assert "is empty" in refusal(SECRET_KEY="", **PUBLIC)
    assert "is shorter than 32" in refusal(SECRET_KEY="x" * 31, **PUBLIC)
    for key in ("a" * 32, "changeme" * 4):
        assert "SECRET_KEY has fewer than 8 different characters: make one" in refusal(SECRET_KEY=key, **PUBLIC)
    for key in PUBLISHED:
        assert "published example" in refusal(SECRET_KEY=key, **PUBLIC)
    for key in ("short", min(PUBLISHED)):
        assert "SECRET_KEY" in refusal(SECRET_KEY_FALLBACKS=[SECRET_KEY, key])
    assert refusal(SECRET_KEY="01234567" * 4, **PUBLIC) == ""


@pytest.mark.parametrize("base_url", ["http://localhost:5000", "http://127.0.0.1:8000", "http://[::1]:5000"])
def test_on_loopback_a_key_is_made_and_kept(instance: Path, base_url: str) -> None:
    first, second = (create_app({"BASE_URL": base_url}).secret_key for _ in range(2))

    kept = instance / "secret_key"
    assert first == second == kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert len(kept.read_text()) >= 32
    assert [path.name for path in instance.glob("secret_key*")] == ["secret_key"]


def test_a_wrong_secret_is_not_repeated() -> None:
    for wrong in ({"DB_PASSWORD": [b"hunter2"]}, {"SECRET_KEY": b"hunter2"}, {"SECRET_KEY": "hunter2"}):
        assert "hunter2" not in (refusal(**wrong) or "hunter2")


# What stops the start


WRONG: dict[str, list[Any]] = {  # values of which the refusal names the setting
    "BASE_URL": ["", "www.example.com", "ftp://example.com", "https://example.com/shop", "https://example.com?a"],
    "WORKERS": [0, "two", 1.5],
    "TRUSTED_PROXIES": [-1],
    "SECURITY_PASSWORD_LENGTH_MIN": [0, 257],
    "SECURITY_REGISTERABLE": ["maybe", None],
    "SESSION_IDLE": [119],
    "REMEMBER_LIFETIME": ["nan"],
    "SESSION_LIFETIME": ["forever"],
    "SQLALCHEMY_ENGINE_OPTIONS": ["[1]"],
    "SECRET_KEY_FALLBACKS": [5],
    "SQLALCHEMY_DATABASE_URI": ["nonsense"],
    "LOG_FORMAT": ["xml"],
    "MAIL_PORT": [0, "smtp"],
    "MAIL_USE_TLS": ["perhaps"],
    "LANGUAGES": [(), "", " , ", ["", ""], "xx", "de,es", "../../etc", "EN", "de_DE", "en-GB", "x" * 5000, "d\0e"],
}
WRONG["BASE_URL"] += ["https://example.com#a", 5]
REFUSED: dict[str, list[Any]] = {
    "BASE_URL": ["https://", "https://me@example.com", "http://a b", "http://a:0", "http://[::1"],
    "BIND": ["", "a b", "localhost:0", "localhost:65536", "::1:5000", "localhost:http"],
    "TRUSTED_HOSTS": [["*.example.com"], ["https://example.com"], ["example.com/"], ["a b"]],
    "SQLALCHEMY_DATABASE_URI": ["postgresql://localhost/shop", "sqlite://", "sqlite:///:memory:"],
}


def test_a_wrong_setting_stops_the_start_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [(key, value) for key, values in WRONG.items() for value in values]
    assert [(key, value) for key, value in cases if key not in refusal(**{key: value})] == []
    cases = [(key, value) for key, values in REFUSED.items() for value in values]
    assert [(key, value) for key, value in cases if not refusal(**{key: value})] == []

    monkeypatch.setenv("QUART_WORKERS", "many")
    assert refusal() == "WORKERS is 'many': write a whole number from 1 to 1000"


def test_a_wrong_instance_file_stops_the_start(instance: Path) -> None:
    for text, reason in [
        ("WORKERS = = 2", "SyntaxError"),
        ("import no_such_module", "No module named"),
        ("WORKERS = 0", "WORKERS"),
        ("raise ValueError('one\\ntwo')", "ValueError"),
    ]:
        write_settings(instance, text)
        assert reason in refusal()
    assert refusal(SECRET_KEY="", INSTANCE_PATH=instance / "application.cfg.py" / "instance")


def test_settings_with_which_no_email_could_leave_stop_the_start() -> None:
    assert "MAIL_SERVER needs a MAIL_DEFAULT_SENDER" in refusal(**SENDING | {"MAIL_DEFAULT_SENDER": ""})
    senders = ["site", "Site <site@>", "A, B <s@example.com>", '"A\nBcc: eve@example.com" <s@example.com>']
    for sender in senders:
        for key in ("MAIL_DEFAULT_SENDER", "MAIL_REPLY_TO"):
            assert f"{key} is" in refusal(**SENDING | {key: sender})
    assert "MAIL_USE_TLS and MAIL_USE_SSL exclude" in refusal(MAIL_USE_TLS=True, MAIL_USE_SSL=True)
    for more in (PUBLIC, {"TRUSTED_PROXIES": 1}):
        assert "SECURITY_CONFIRMABLE needs a MAIL_SERVER" in refusal(SECURITY_CONFIRMABLE=True, **more)


def test_a_tuple_that_is_not_a_sender_stops_the_start() -> None:
    for sender in (("A\nBcc: eve@example.com", "s@example.com"), ("A", "s@example.com", "B"), ("A", "s")):
        assert "MAIL_DEFAULT_SENDER is" in refusal(**SENDING | {"MAIL_DEFAULT_SENDER": sender})


def test_a_mail_server_is_a_host_without_a_port() -> None:
    for server in ("smtp.example.com:587", "[::1]:25", "smtp://smtp.example.com"):
        line = f"MAIL_SERVER is {server!r}: write a host like smtp.example.com; the port is MAIL_PORT"
        assert refusal(**SENDING | {"MAIL_SERVER": server}) == line
    for server in ("localhost", "smtp_relay", "127.0.0.1", "::1", "[::1]"):
        assert refusal(**SENDING | {"MAIL_SERVER": server}) == ""


# The URL of the database


def test_the_url_of_the_database_is_that_setting_or_made_of_its_parts(instance: Path) -> None:
    uri = "SQLALCHEMY_DATABASE_URI"
    given: dict[str, dict[str, str]] = {
        f"sqlite+aiosqlite:///{instance}/app.db": {},
        f"sqlite+aiosqlite:///{instance}/other.db": {uri: "sqlite:///other.db"},
        "mariadb+aiomysql://db.example.com/other": {uri: "mariadb://db.example.com/other"},  # wins over its parts
        "mysql+aiomysql://db.example.com:3307/shop": {"DB_SERVER": "db.example.com:3307"},
        "mysql+aiomysql://[::1]/shop": {"DB_SERVER": "[::1]"},
        "mysql+aiomysql://[2001:db8::1]:3307/shop": {"DB_SERVER": "[2001:db8::1]:3307"},
    }
    for expected, settings in given.items():
        assert url({} if "sqlite" in expected else {"DB_NAME": "shop"}, **settings) == expected
    for prefix in ("mysql+mysqldb", "mysql+pymysql", "mysql", "mysql+aiomysql"):  # the first are of the original
        assert url({"DB_NAME": "shop"}, SQLALCHEMY_DB_PREFIX=prefix) == "mysql+aiomysql://localhost/shop"
        assert url(SQLALCHEMY_DATABASE_URI=f"{prefix}://u:p%40@h:1/d") == "mysql+aiomysql://u:p%40@h:1/d"
    for server in ("db:port", "db:99999", "[::1", "::1"):
        assert refusal(DB_NAME="shop", DB_SERVER=server).startswith(f"DB_SERVER is {server!r}: write a host")


def url(parts: dict[str, str] | None = None, **settings: str) -> str:
    return database_url(create_app((parts or {}) | settings).config).render_as_string(hide_password=False)


def test_a_database_password_may_contain_any_character() -> None:
    password = "".join(map(chr, range(32, 127))) + " é%%ñ😀"

    found = database_url(create_app({"DB_NAME": "shop", "DB_USERNAME": "me@home:1", "DB_PASSWORD": password}).config)

    assert (found.username, found.password, found.host, found.database) == ("me@home:1", password, "localhost", "shop")


def test_a_printed_url_contains_the_socket_and_no_password() -> None:
    url = make_url("mysql+aiomysql://u:secret@/shop?unix_socket=/run/db.sock&ssl_ca=ca.pem&ssl_password=secret")

    assert without_secrets(url) == "mysql+aiomysql://u:***@/shop?unix_socket=%2Frun%2Fdb.sock"


# What follows from the settings


async def test_the_originals_server_name_becomes_the_base_url(settings: dict[str, Any]) -> None:
    for name in ("www.example.com", "localhost:8000"):
        async with serving(settings | {"SERVER_NAME": name}) as app:
            response = await app.test_client().get("/", headers={"host": name})
        assert (response.status_code, app.config["BASE_URL"]) == (200, f"http://{name}")
    both = {"SECRET_KEY": SECRET_KEY, "SERVER_NAME": "localhost:5000", **PUBLIC}
    assert create_app(both).config["BASE_URL"] == PUBLIC["BASE_URL"]


@pytest.mark.parametrize(("more", "prefix"), [(PUBLIC, "__Host-"), ({}, "")])
async def test_every_cookie_is_as_safe_as_the_scheme_allows(
    settings: dict[str, Any], more: dict[str, str], prefix: str
) -> None:
    async with serving(settings | more) as app:
        headers = {"host": "www.example.com" if more else "localhost"}
        form = {"email": EMAIL, "password": PASSWORD, "password_confirm": PASSWORD}
        responses = [await app.test_client().post(path, form=form, headers=headers) for path in ("/register", "/login")]

    cookies = [text.split("; ") for response in responses for text in response.headers.getlist("Set-Cookie")]
    assert {cookie[0].split("=")[0] for cookie in cookies} == {
        f"{prefix}{name}" for name in ("auth", "device", "session")
    }
    for _, *attributes in cookies:
        assert {"HttpOnly", "Path=/", "SameSite=Lax"} <= set(attributes)
        assert ("Secure" in attributes) is bool(prefix)
        assert "domain" not in " ".join(attributes).lower()


async def test_what_is_switched_off_does_not_exist_and_nothing_links_to_it(settings: dict[str, Any]) -> None:
    paths = {"SECURITY_REGISTERABLE": "/register", "SECURITY_CHANGEABLE": "/change"}
    for off in (None, *paths):
        async with serving(settings | ({off: False} if off else {})) as app:
            if not off:
                await create_user(app)
            client = app.test_client()
            pages = [await page(client, path) for path in ("/", "/login", "/no-such-page")]
            await log_in(client)
            pages += [await page(client, path) for path in ("/", "/account")]

            assert 'action="/logout"' in pages[-2]
            for setting, path in paths.items():
                statuses = {(await client.get(path)).status_code, (await client.post(path, form={})).status_code}
                assert (statuses == {404}) is (off == setting)
                assert any(f'href="{path}"' in text for text in pages) is (off != setting)


def test_a_reset_is_offered_where_its_email_can_be_read() -> None:
    cases: list[tuple[dict[str, Any], bool]] = [
        ({}, True),
        (PUBLIC, False),
        (PUBLIC | SENDING, True),
        ({"TRUSTED_PROXIES": 1}, False),
        ({"SECURITY_RECOVERABLE": False}, False),
    ]
    for given, is_offered in cases:
        app = create_app({"SECRET_KEY": SECRET_KEY} | given)
        assert ("password_reset" in app.blueprints, app.config["SECURITY_RECOVERABLE"]) == (is_offered, is_offered)
