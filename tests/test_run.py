"""The server in a process of its own: its responses, its stop, and the errors that prevent its start."""

import select
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import httpx
import pytest

from support.app import MAILBOX, ROOT, migrate
from support.load import instance_in
from support.mariadb_server import MariaDB, free_port
from support.server_process import RUN, environment, refusal, running

pytestmark = pytest.mark.programs


@pytest.fixture
def busy() -> Iterator[str]:
    """Return the bind address of a socket of another process, which would let workers share its port."""
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def test_it_serves_the_site_without_a_server_header_at_the_bind_address_of_the_command_line(instance: Path) -> None:
    bodies = {"/": "<h1>", "/api/": '{"status":"success"}', "/healthz": "alive", "/readyz": '{"status":"ready"}'}
    port = free_port()
    address = f"127.0.0.1:{port}"

    with running(instance, "--bind", address, address=address, BIND="127.0.0.1:1") as server:
        started, mail_stays, running_on = server.log.read_text().splitlines()[:3]
        assert f" started pid={server.process.pid}" in started
        assert mail_stays.endswith(f' dev_mailbox url="http://localhost:{port}{MAILBOX}"')
        assert f"Running on http://{server.address} " in running_on
        for path, body in bodies.items():
            response = server.get(path)
            assert (response.status_code, body in response.text) == (200, True)
            assert "server" not in response.headers


def test_a_wrong_option_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [*RUN, "--workers=0"], cwd=ROOT, env=environment(tmp_path, {}), capture_output=True, check=False
    )

    assert (done.returncode, done.stderr.splitlines()[-1].endswith(b"--workers must be at least 1")) == (2, True)


def test_upgrade_fills_an_empty_embedded_database_and_leaves_a_full_one_alone(tmp_path: Path) -> None:
    for _ in range(2):
        before = (tmp_path / "app.db").read_bytes() if (tmp_path / "app.db").exists() else b""
        with running(tmp_path, "--upgrade") as server:
            assert server.get("/readyz").status_code == 200
            server.end()
    assert (tmp_path / "app.db").read_bytes() == before


def test_upgrade_leaves_a_database_server_alone(mariadb: MariaDB, tmp_path: Path) -> None:
    uri = mariadb.create_database("not_ours")

    assert "run `alembic upgrade head`" in refusal(tmp_path, "--upgrade", SQLALCHEMY_DATABASE_URI=uri)
    with mariadb.connect("not_ours") as connection, connection.cursor() as cursor:
        assert cursor.execute("SHOW TABLES") == 0


@pytest.mark.parametrize(
    ("options", "number"),
    [([], signal.SIGTERM), ([], signal.SIGINT), (["--workers", "2"], signal.SIGINT), (["--reload"], signal.SIGTERM)],
)
def test_a_signal_stops_it_with_exit_code_0(instance: Path, options: list[str], number: signal.Signals) -> None:
    workers = 2 if "--workers" in options else 1

    with running(instance, *options, workers=workers) as server:
        assert server.get("/").status_code == 200
        before = server.log.read_text()
        assert server.end(number) == 0
        since = server.log.read_text().removeprefix(before).splitlines()
        assert [line.split()[2] for line in since if " request " not in line] == ["stopped"] * workers
        with pytest.raises(httpx.ConnectError):
            server.get("/")


def test_an_idle_connection_stays_open_for_a_proxy_that_reuses_it(
    instance: Path, tmp_path: Path, sqlite_template: Path
) -> None:
    with (
        running(instance) as public,
        running(instance_in(tmp_path / "other", sqlite_template), TRUSTED_PROXIES="1") as behind,
        closing(HTTPConnection(public.address)) as of_a_client,
        closing(HTTPConnection(behind.address)) as of_a_proxy,
    ):
        for connection in (of_a_client, of_a_proxy):
            connection.request("GET", "/healthz")
            assert connection.getresponse().read()
        time.sleep(7)

        readable, _, _ = select.select([of_a_client.sock, of_a_proxy.sock], [], [], 0)
        assert readable == [of_a_client.sock]  # closed by the server


def test_reload_starts_again_when_a_file_changes(instance: Path) -> None:
    with running(instance, "--reload") as server:
        assert server.get("/").status_code == 200
        time.sleep(1.5)  # the reloader looks once a second and has to see the file as it was
        (ROOT / "src/app/__init__.py").touch()

        server.wait_for(lambda: server.starts >= 2)
        assert server.get("/").status_code == 200


@pytest.mark.parametrize("options", [[], ["--workers", "2"], ["--reload"]], ids=" ".join)
def test_a_port_in_use_stops_the_start(instance: Path, busy: str, options: list[str]) -> None:
    assert refusal(instance, *options, BIND=busy) == f"Cannot listen on {busy}: Address already in use"


def test_an_option_overrides_a_setting_from_a_file(instance: Path, busy: str) -> None:
    (instance / "bind").write_text("127.0.0.1:1")

    reason = refusal(instance, "--bind", busy, BIND_FILE=str(instance / "bind"))

    assert reason == f"Cannot listen on {busy}: Address already in use"


def test_an_unknown_bind_address_stops_the_start(instance: Path) -> None:
    assert "nowhere.invalid:5000" in refusal(instance, "--bind", "nowhere.invalid:5000")


def test_a_database_that_does_not_respond_stops_the_start(tmp_path: Path, busy: str) -> None:
    for address in f"127.0.0.1:{free_port()}", busy:
        line = refusal(tmp_path, SQLALCHEMY_DATABASE_URI=f"mysql+aiomysql://root:a-secret@{address}/app")
        assert line.startswith(f"Cannot start: the database mysql+aiomysql://root:***@{address}")
        assert "is unavailable" in line
        assert "a-secret" not in line


def test_no_schema_or_another_one_stops_the_start(instance: Path) -> None:
    assert "run `alembic upgrade head`" in refusal(instance.parent)  # an empty database
    for revision in ("3a542da63280", "3a542da63280, 490681539ae8"):
        with closing(sqlite3.connect(instance / "app.db")) as connection, connection:
            connection.execute("UPDATE alembic_version SET version_num = ?", [revision])
        line = refusal(instance)
        assert line.startswith(f"Cannot start: the database is at {revision}, the code needs ")
        assert "run `alembic upgrade head`" in line


def test_a_database_with_another_applications_migrations_stops_the_start(tmp_path: Path) -> None:
    migrate("", "upgrade", "3a542da63280", instance=tmp_path).check_returncode()
    with closing(sqlite3.connect(tmp_path / "app.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'abcdef123456'")

    line = refusal(tmp_path)

    assert line.startswith("Cannot start: the database is at abcdef123456, which alembic/versions does not have")
    assert "docs/how-to/move-from-flask-security.md" in line


@pytest.mark.parametrize("option", ["--workers=1", "--upgrade"])
def test_the_code_before_a_migration_serves_on_the_new_tables(instance: Path, option: str) -> None:
    with closing(sqlite3.connect(instance / "app.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'from_the_future'")

    with running(instance, option) as server:
        assert server.get("/readyz").status_code == 200
    assert "database_is_newer revision=from_the_future code=" in server.log.read_text()


def test_a_file_that_is_not_a_database_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "app.db").write_text("Dear diary, this is no database.\n" * 100)

    assert "file is not a database" in refusal(tmp_path)


def test_a_wrong_setting_stops_the_start(instance: Path) -> None:
    """test_config.py has the rules of each setting."""
    assert refusal(instance, WORKERS="x") == "Cannot start: WORKERS is 'x': write a whole number from 1 to 1000"
    uri = "mysql+aiomysql://u@127.0.0.1/app?nonsense=1"
    assert "nonsense" in refusal(instance, SQLALCHEMY_DATABASE_URI=uri)
    (instance / "application.cfg.py").write_text("raise SystemExit")
    assert "SystemExit" in refusal(instance)
