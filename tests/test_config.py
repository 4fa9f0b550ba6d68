"""Where settings come from, which of them stop the start, and what follows from them."""

import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.app_factory import create_app
from app.config import DEFAULTS, ConfigError
from app.database_url import database_url
from app.secret_key import PUBLISHED
from conftest import SECRET_KEY, serving
from people import EMAIL, PASSWORD, create_user, log_in, page

PUBLIC = {"BASE_URL": "https://www.example.com"}


@pytest.fixture
def database_uri(sqlite_template: Path, tmp_path: Path) -> str:
    """Return one database: settings do not depend on its kind."""
    (tmp_path / "app.db").write_bytes(sqlite_template.read_bytes())
    return "sqlite:///app.db"


@pytest.fixture(autouse=True)
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the instance folder that the environment names, as a deployment's does."""
    monkeypatch.setenv("QUART_INSTANCE_PATH", str(tmp_path))
    return tmp_path


def write_settings(instance: Path, text: str) -> None:
    (instance / "application.cfg.py").write_text(text)


def refusal(**overrides: Any) -> str:
    """Return the one line with which a start is refused."""
    with pytest.raises(ConfigError) as refused:
        create_app({"SECRET_KEY": SECRET_KEY} | overrides)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def address(**settings: Any) -> str:
    config = create_app({"SECRET_KEY": SECRET_KEY} | settings).config
    return database_url(config).render_as_string(hide_password=False)


# Sources


def test_without_a_word_from_anybody_the_defaults_hold(instance: Path) -> None:
    config = create_app().config

    made = {"SECRET_KEY", "INSTANCE_PATH"}
    assert {key: config[key] for key in DEFAULTS.keys() - made} == {
        key: DEFAULTS[key] for key in DEFAULTS.keys() - made
    }
    assert config["INSTANCE_PATH"] == str(instance)


def test_later_sources_win(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_settings(instance, "WORKERS = 2\nTRUSTED_PROXIES = 2\nSECURITY_PASSWORD_LENGTH_MIN = 12\n")
    monkeypatch.setenv("QUART_TRUSTED_PROXIES", "3")
    monkeypatch.setenv("QUART_SECURITY_PASSWORD_LENGTH_MIN", "13")

    config = create_app({"SECURITY_PASSWORD_LENGTH_MIN": 14}).config

    assert config["BIND"] == DEFAULTS["BIND"]
    assert (config["WORKERS"], config["TRUSTED_PROXIES"], config["SECURITY_PASSWORD_LENGTH_MIN"]) == (2, 3, 14)


def test_an_override_names_another_instance_folder(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    write_settings(other, "WORKERS = 5")

    app = create_app({"INSTANCE_PATH": other})

    assert (app.instance_path, app.config["WORKERS"]) == (str(other), 5)


def test_the_originals_instance_file_works_unchanged(instance: Path) -> None:
    write_settings(
        instance,
        f"""
SERVER_NAME = 'localhost:5000'
DB_USERNAME = 'shop'
DB_PASSWORD = 'p@ss/word'
DB_SERVER = 'localhost'
DB_NAME = 'shop'
SQLALCHEMY_DB_PREFIX = 'mysql+mysqldb'
SQLALCHEMY_TRACK_MODIFICATIONS = False
SECRET_KEY = '{SECRET_KEY}'
SECURITY_PASSWORD_SALT = 'salt'
""",
    )

    app = create_app()

    assert str(database_url(app.config)) == "mysql+aiomysql://shop:***@localhost/shop"
    assert app.config["SECURITY_PASSWORD_SALT"] == "salt"


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
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
    ],
)
def test_the_environment_keeps_the_types_of_the_defaults(
    monkeypatch: pytest.MonkeyPatch, key: str, text: str, value: object
) -> None:
    monkeypatch.setenv(f"QUART_{key}", text)

    found = create_app().config[key]

    assert (found, type(found)) == (value, type(value))


def test_apps_of_one_process_share_nothing(tmp_path: Path) -> None:
    one = create_app({"BASE_URL": "http://localhost:1", "SQLALCHEMY_DATABASE_URI": "sqlite:///one.db"})
    two = create_app({"SECURITY_REGISTERABLE": False})
    one.config["SQLALCHEMY_ENGINE_OPTIONS"]["pool_size"] = 99
    three = create_app()

    assert [app.config["BASE_URL"] for app in (one, three)] == ["http://localhost:1", DEFAULTS["BASE_URL"]]
    assert three.config["SQLALCHEMY_ENGINE_OPTIONS"] == {}
    assert [app.extensions["db"].url.database for app in (one, two)] == [f"{tmp_path}/one.db", f"{tmp_path}/app.db"]
    assert ["registrations" in app.blueprints for app in (one, two, three)] == [True, False, True]


# The key that signs the cookies


@pytest.mark.parametrize(
    ("key", "reason"),
    [("", "is empty"), ("x" * 31, "is shorter than 32"), *((key, "published example") for key in sorted(PUBLISHED))],
)
def test_a_public_site_needs_a_key_that_nobody_can_guess(key: str, reason: str) -> None:
    assert reason in refusal(SECRET_KEY=key, **PUBLIC)


def test_a_key_of_32_characters_will_do() -> None:
    assert create_app({"SECRET_KEY": "k" * 32, **PUBLIC}).secret_key == "k" * 32


@pytest.mark.parametrize("base_url", ["http://localhost:5000", "http://127.0.0.1:8000", "http://[::1]:5000"])
def test_on_loopback_a_key_is_made_and_kept(instance: Path, base_url: str) -> None:
    first, second = (create_app({"BASE_URL": base_url}).secret_key for _ in range(2))

    kept = instance / "secret_key"
    assert first == second == kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert len(kept.read_text()) >= 32
    assert [path.name for path in instance.glob("secret_key*")] == ["secret_key"]


def test_a_kept_key_does_not_sign_for_a_public_site(instance: Path) -> None:
    create_app()

    assert (instance / "secret_key").exists()
    assert "SECRET_KEY is empty" in refusal(SECRET_KEY="", **PUBLIC)


@pytest.mark.parametrize("key", ["short", min(PUBLISHED)])
def test_a_former_key_may_not_be_guessed_either(key: str) -> None:
    assert "SECRET_KEY" in refusal(SECRET_KEY_FALLBACKS=[SECRET_KEY, key])


def test_a_wrong_secret_is_not_repeated() -> None:
    assert "hunter2" not in refusal(DB_PASSWORD=b"hunter2")
    assert "hunter2" not in refusal(SECRET_KEY=b"hunter2")
    assert "hunter2" not in refusal(SECRET_KEY="hunter2")


# What stops the start


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("BASE_URL", url) for url in ("", "www.example.com", "ftp://example.com", "https://example.com/shop")),
        *(("BASE_URL", url) for url in ("https://example.com?a", "https://example.com#a", 5)),
        ("WORKERS", 0),
        ("WORKERS", "two"),
        ("WORKERS", 1.5),
        ("TRUSTED_PROXIES", -1),
        ("SECURITY_PASSWORD_LENGTH_MIN", 0),
        ("SECURITY_PASSWORD_LENGTH_MIN", 257),
        ("SECURITY_REGISTERABLE", "maybe"),
        ("SECURITY_REGISTERABLE", None),
        ("SESSION_IDLE", 119),
        ("REMEMBER_LIFETIME", "nan"),
        ("SESSION_LIFETIME", "forever"),
        ("SQLALCHEMY_ENGINE_OPTIONS", "[1]"),
        ("SECRET_KEY_FALLBACKS", 5),
        ("SQLALCHEMY_DATABASE_URI", "nonsense"),
    ],
)
def test_a_setting_that_is_wrong_stops_the_start_and_is_named(key: str, value: object) -> None:
    assert key in refusal(**{key: value})


@pytest.mark.parametrize("url", ["https://", "https://me@example.com", "http://a b", "http://a:0", "http://[::1"])
def test_an_address_without_a_host_stops_the_start(url: str) -> None:
    assert refusal(BASE_URL=url)


@pytest.mark.parametrize("bind", ["", "a b", "localhost:0", "localhost:65536", "::1:5000", "localhost:http"])
def test_an_address_that_cannot_be_listened_on_stops_the_start(bind: str) -> None:
    assert refusal(BIND=bind)


@pytest.mark.parametrize("host", ["*.example.com", "https://example.com", "example.com/", "a b"])
def test_a_further_host_that_is_none_stops_the_start(host: str) -> None:
    assert refusal(TRUSTED_HOSTS=[host])


@pytest.mark.parametrize("uri", ["postgresql://localhost/shop", "sqlite://", "sqlite:///:memory:"])
def test_a_database_of_another_kind_stops_the_start(uri: str) -> None:
    assert "database has to be" in refusal(SQLALCHEMY_DATABASE_URI=uri)


def test_a_wrong_value_in_the_environment_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUART_WORKERS", "many")

    assert refusal() == "WORKERS is 'many'; it has to be like 1"


@pytest.mark.parametrize(
    ("text", "reason"),
    [("WORKERS = = 2", "SyntaxError"), ("import no_such_module", "No module named"), ("WORKERS = 0", "WORKERS")],
)
def test_an_instance_file_that_is_wrong_stops_the_start(instance: Path, text: str, reason: str) -> None:
    write_settings(instance, text)

    assert reason in refusal()


def test_an_instance_file_that_fails_at_length_is_refused_in_one_line(instance: Path) -> None:
    write_settings(instance, "raise ValueError('one\\ntwo')")

    assert "ValueError" in refusal()


def test_an_instance_folder_that_cannot_be_made_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert refusal(SECRET_KEY="", INSTANCE_PATH=tmp_path / "file" / "instance")


def test_options_of_the_engine_may_hold_connect_args() -> None:
    options = {"connect_args": {"read_timeout": 5}}

    assert create_app({"SQLALCHEMY_DATABASE_URI": "mysql://localhost/shop", "SQLALCHEMY_ENGINE_OPTIONS": options})


# The database's address


def test_without_a_name_the_database_is_a_file_in_the_instance_folder(instance: Path) -> None:
    assert address() == f"sqlite+aiosqlite:///{instance}/app.db"
    assert address(SQLALCHEMY_DATABASE_URI="sqlite:///other.db") == f"sqlite+aiosqlite:///{instance}/other.db"


def test_any_character_may_stand_in_a_password() -> None:
    typed = "".join(map(chr, range(32, 127))) + " é%%ñ😀"

    config = create_app({"DB_NAME": "shop", "DB_USERNAME": "me@home:1", "DB_PASSWORD": typed}).config

    url = database_url(config)
    assert (url.username, url.password, url.host, url.database) == ("me@home:1", typed, "localhost", "shop")


@pytest.mark.parametrize(
    ("server", "host", "port"),
    [
        ("db.example.com", "db.example.com", None),
        ("db.example.com:3307", "db.example.com", 3307),
        ("127.0.0.1:3307", "127.0.0.1", 3307),
        ("[::1]", "::1", None),
        ("[2001:db8::1]:3307", "2001:db8::1", 3307),
    ],
)
def test_a_server_may_carry_a_port(server: str, host: str, port: int | None) -> None:
    url = database_url(create_app({"DB_NAME": "shop", "DB_SERVER": server}).config)

    assert (url.host, url.port) == (host, port)


@pytest.mark.parametrize("server", ["db:port", "db:99999", "[::1", "::1"])
def test_a_server_that_cannot_be_read_stops_the_start(server: str) -> None:
    assert refusal(DB_NAME="shop", DB_SERVER=server).startswith(f"DB_SERVER: {server!r}")


@pytest.mark.parametrize("prefix", ["mysql+mysqldb", "mysql+pymysql", "mysql", "mysql+aiomysql"])
def test_prefixes_of_the_original_mean_our_driver(prefix: str) -> None:
    assert address(DB_NAME="shop", SQLALCHEMY_DB_PREFIX=prefix) == "mysql+aiomysql://localhost/shop"
    assert address(SQLALCHEMY_DATABASE_URI=f"{prefix}://u:p%40@h:1/d") == "mysql+aiomysql://u:p%40@h:1/d"


def test_an_address_wins_over_its_parts() -> None:
    uri = "mariadb://db.example.com/other"

    assert address(DB_NAME="shop", SQLALCHEMY_DATABASE_URI=uri) == "mariadb+aiomysql://db.example.com/other"


# What follows from the settings


@pytest.mark.parametrize(
    ("name", "base_url"), [("www.example.com", "http://www.example.com"), ("localhost:8000", "http://localhost:8000")]
)
async def test_the_originals_server_name_becomes_the_base_url(
    settings: dict[str, Any], name: str, base_url: str
) -> None:
    async with serving(settings | {"SERVER_NAME": name}) as app:
        answer = await app.test_client().get("/", headers={"host": name})

    assert answer.status_code == 200
    assert app.config["BASE_URL"] == base_url


def test_a_base_url_wins_over_the_originals_server_name() -> None:
    app = create_app({"SECRET_KEY": SECRET_KEY, "SERVER_NAME": "localhost:5000", **PUBLIC})

    assert app.config["BASE_URL"] == PUBLIC["BASE_URL"]


def test_a_base_url_is_kept_in_its_plain_form() -> None:
    app = create_app({"SECRET_KEY": SECRET_KEY, "BASE_URL": "HTTPS://WWW.Example.com:443/"})

    assert app.config["BASE_URL"] == "https://www.example.com"


async def cookies_set_at_log_in(settings: dict[str, Any], host: str) -> list[str]:
    async with serving(settings) as app:
        await create_user(app)
        form = {"email": EMAIL, "password": PASSWORD}
        answer = await app.test_client().post("/login", form=form, headers={"host": host})
    assert answer.status_code == 303
    cookies = answer.headers.getlist("Set-Cookie")
    assert len(cookies) == 2
    return cookies


async def test_an_https_site_sets_secure_cookies_bound_to_its_host(settings: dict[str, Any]) -> None:
    cookies = await cookies_set_at_log_in(settings | PUBLIC, "www.example.com")

    assert [cookie.split("=")[0] for cookie in cookies] == ["__Host-auth", "__Host-device"]
    for cookie in cookies:
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
        assert "domain" not in cookie.lower()


async def test_an_http_site_sets_plain_cookies(settings: dict[str, Any]) -> None:
    cookies = await cookies_set_at_log_in(settings, "localhost")

    assert [cookie.split("=")[0] for cookie in cookies] == ["auth", "device"]
    for cookie in cookies:
        assert {"HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
        assert "Secure" not in cookie


async def test_the_cookie_of_messages_is_as_safe(settings: dict[str, Any]) -> None:
    form = {"email": EMAIL, "password": PASSWORD, "password_confirm": PASSWORD}
    async with serving(settings | PUBLIC) as app:
        answer = await app.test_client().post("/register", form=form, headers={"host": "www.example.com"})

    (cookie,) = (text for text in answer.headers.getlist("Set-Cookie") if text.startswith("__Host-session="))
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))


async def test_where_nobody_may_register_nothing_leads_there(settings: dict[str, Any]) -> None:
    async with serving(settings | {"SECURITY_REGISTERABLE": False}) as app:
        client = app.test_client()
        pages = [await page(client, path) for path in ("/", "/about", "/login", "/no-such-page")]

        assert (await client.get("/register")).status_code == 404
        assert (await client.post("/register", form={})).status_code == 404
    assert not any("/register" in text or "register</a>" in text.lower() for text in pages)


async def test_where_no_password_can_be_changed_nothing_leads_there(settings: dict[str, Any]) -> None:
    async with serving(settings | {"SECURITY_CHANGEABLE": False}) as app:
        await create_user(app)
        client = app.test_client()
        await log_in(client)

        assert "Logged in as" in await page(client)
        assert not any("/change" in text for text in [await page(client), await page(client, "/about")])
        assert (await client.get("/change")).status_code == 404
        assert (await client.post("/change", form={})).status_code == 404


async def test_links_lead_to_what_is_switched_on(settings: dict[str, Any]) -> None:
    async with serving(settings) as app:
        await create_user(app)
        client = app.test_client()
        before = await page(client)
        await log_in(client)

        assert 'href="/register"' in before
        assert 'href="/change"' in await page(client)
