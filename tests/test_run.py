"""The server in a process of its own: its responses, its stop, and the errors that prevent its start."""

import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from conftest import ROOT, SECRET_KEY
from mariadb_server import MariaDB, free_port

RUN = (sys.executable, "run.py")
HYPERCORN = (str(Path(sys.executable).with_name("hypercorn")), "run:app")
PATIENCE = 30  # seconds: a busy machine is slow to start a process


@dataclass
class Server:
    """A running server and its log."""

    process: "subprocess.Popen[bytes]"
    log: Path
    address: str

    @property
    def starts(self) -> int:
        return self.log.read_text().count(f"Running on http://{self.address} ")

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://{self.address}{path}", timeout=PATIENCE)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds. Fails if the process ends first."""
        until = time.monotonic() + PATIENCE
        while not condition():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.05)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


def environment(instance: Path, settings: dict[str, str]) -> dict[str, str]:
    """Return the environment of the tests with these settings and no others."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("QUART_")}
    ours = {"INSTANCE_PATH": str(instance), "SECRET_KEY": SECRET_KEY} | settings
    return others | {f"QUART_{key}": value for key, value in ours.items()}


@contextmanager
def running(
    instance: Path,
    *options: str,
    command: tuple[str, ...] = RUN,
    address: str = "",
    workers: int = 1,
    folder: Path = ROOT,
    **settings: str,
) -> Iterator[Server]:
    """Start a server, wait until each of its workers listens, and kill remaining processes at the end."""
    log, address = instance / "log", address or f"127.0.0.1:{free_port()}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *options],
            cwd=folder,
            env=environment(instance, {"BIND": address} | settings),
            stdout=output,
            stderr=output,
            start_new_session=True,  # the process and its workers are one group, which we may end together
        )
    server = Server(process, log, address)
    try:
        server.wait_for(lambda: server.starts == workers)
        yield server
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(PATIENCE)


def refusal(instance: Path, *options: str, **settings: str) -> str:
    """Return the error with which the start fails: one line, and no traceback."""
    command, env = [*RUN, *options], environment(instance, settings)
    env = {name: value for name, value in env.items() if not name.startswith("COV")}  # coverage writes messages too
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert (done.returncode, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.fixture
def instance(tmp_path: Path, sqlite_template: Path) -> Path:
    """Return an instance folder with an empty database at head."""
    shutil.copy(sqlite_template, tmp_path / "app.db")
    return tmp_path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Server]:
    """Return a server for tests that change nothing, started as `QUART_BIND=… python run.py`."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(sqlite_template, folder / "app.db")
    with running(folder) as server:
        yield server


@pytest.fixture
def busy() -> Iterator[socket.socket]:
    """Return a socket of another process, which would let workers share its port."""
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as listener:
        yield listener


def address_of(listener: socket.socket) -> str:
    return f"127.0.0.1:{listener.getsockname()[1]}"


def test_the_log_contains_the_bind_address(site: Server) -> None:
    started, mail_stays, running_on = site.log.read_text().splitlines()[:3]

    assert f" started pid={site.process.pid}" in started
    assert mail_stays.endswith(" mail_stays see=http://localhost:5000/dev/mailbox")
    assert f"Running on http://{site.address} " in running_on


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/", "<h1>"),
        ("/api/", '{"status":"success"}'),
        ("/healthz", '{"status":"alive"}'),
        ("/readyz", '{"status":"ready"}'),
    ],
)
def test_it_serves_the_site_without_a_server_header(site: Server, path: str, said: str) -> None:
    answer = site.get(path)

    assert answer.status_code == 200
    assert said in answer.text
    assert "server" not in answer.headers


def test_the_option_bind_overrides_the_setting(instance: Path) -> None:
    address = f"127.0.0.1:{free_port()}"

    with running(instance, "--bind", address, address=address, BIND="127.0.0.1:1") as server:
        assert server.get("/healthz").status_code == 200


@pytest.mark.parametrize(("options", "setting"), [(["--workers", "2"], "1"), ([], "2")], ids=["option", "setting"])
def test_two_workers_listen_side_by_side(instance: Path, options: list[str], setting: str) -> None:
    with running(instance, *options, workers=2, WORKERS=setting) as server:
        assert server.get("/").status_code == 200
        assert len(set(re.findall(r" started pid=(\d+)", server.log.read_text()))) == 2
        assert server.end() == 0


def test_help_names_the_options() -> None:
    done = subprocess.run([*RUN, "--help"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=PATIENCE)

    for option in ("--bind", "--workers", "--reload", "--upgrade"):
        assert option in done.stdout


@pytest.mark.parametrize("options", [["--workers", "0"], ["--workers", "x"], ["--frobnicate"]])
def test_a_wrong_option_is_named(tmp_path: Path, options: list[str]) -> None:
    done = subprocess.run(
        [*RUN, *options],
        cwd=ROOT,
        env=environment(tmp_path, {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )

    assert done.returncode == 2
    assert options[0] in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_upgrade_fills_an_empty_embedded_database(tmp_path: Path) -> None:
    with running(tmp_path, "--upgrade") as server:
        assert server.get("/readyz").status_code == 200


def test_the_second_start_is_quick_and_leaves_the_database_alone(instance: Path) -> None:
    before = (instance / "app.db").read_bytes()
    begin = time.monotonic()

    with running(instance, "--upgrade") as server:
        assert server.get("/readyz").status_code == 200
        assert time.monotonic() - begin < 5
    assert (instance / "app.db").read_bytes() == before


def test_upgrade_leaves_a_database_server_alone(mariadb: MariaDB, tmp_path: Path) -> None:
    uri = mariadb.create_database("not_ours")

    assert "run `alembic upgrade head`" in refusal(tmp_path, "--upgrade", SQLALCHEMY_DATABASE_URI=uri)
    with mariadb.connect("not_ours") as connection, connection.cursor() as cursor:
        assert cursor.execute("SHOW TABLES") == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("options", [[], ["--workers", "2"], ["--reload"]], ids=" ".join)
def test_a_signal_stops_it_with_exit_code_0(instance: Path, options: list[str], number: signal.Signals) -> None:
    workers = 2 if "--workers" in options else 1

    with running(instance, *options, workers=workers) as server:
        assert server.get("/").status_code == 200
        said = server.log.read_text()
        assert server.end(number) == 0
        since = server.log.read_text().removeprefix(said).splitlines()
        assert [line.split()[2] for line in since if " request " not in line] == ["stopped"] * workers
        with pytest.raises(httpx.ConnectError):
            server.get("/")


def test_reload_starts_again_when_a_file_changes(instance: Path) -> None:
    with running(instance, "--reload") as server:
        assert server.get("/").status_code == 200
        time.sleep(1.5)  # the reloader looks once a second and has to see the file as it was
        (ROOT / "src/app/__init__.py").touch()

        server.wait_for(lambda: server.starts >= 2)
        assert server.get("/").status_code == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_hypercorn_serves_the_app_too(instance: Path, number: signal.Signals) -> None:
    address = f"127.0.0.1:{free_port()}"

    with running(instance, "--bind", address, command=HYPERCORN, address=address) as server:
        assert server.get("/readyz").json() == {"status": "ready"}
        assert server.end(number) == 0


@pytest.mark.parametrize("options", [[], ["--workers", "2"], ["--reload"]], ids=" ".join)
def test_a_port_in_use_stops_the_start(instance: Path, busy: socket.socket, options: list[str]) -> None:
    address = address_of(busy)

    assert refusal(instance, *options, BIND=address) == f"Cannot listen on {address}: Address already in use"


@pytest.mark.parametrize("address", ["127.0.0.1:99999", "127.0.0.1:x", "nowhere.invalid:5000"])
def test_an_invalid_bind_address_stops_the_start(instance: Path, address: str) -> None:
    assert address in refusal(instance, "--bind", address)


@pytest.mark.parametrize("options", [[], ["--upgrade"]], ids=" ".join)
def test_an_unreachable_database_stops_the_start(tmp_path: Path, options: list[str]) -> None:
    uri = f"mysql+aiomysql://root:a-secret@127.0.0.1:{free_port()}/app"

    line = refusal(tmp_path, *options, SQLALCHEMY_DATABASE_URI=uri)

    assert line.startswith("Cannot start: the database mysql+aiomysql://root:***@127.0.0.1:")
    assert "does not answer" in line
    assert "a-secret" not in line


def test_an_unknown_argument_in_the_database_url_stops_the_start(tmp_path: Path) -> None:
    line = refusal(tmp_path, SQLALCHEMY_DATABASE_URI="mysql+aiomysql://u@127.0.0.1/app?nonsense=1")

    assert "nonsense" in line


def test_a_database_that_never_answers_stops_the_start_in_time(tmp_path: Path, busy: socket.socket) -> None:
    begin = time.monotonic()

    line = refusal(tmp_path, SQLALCHEMY_DATABASE_URI=f"mysql+aiomysql://root@{address_of(busy)}/app")

    assert "does not answer" in line
    assert time.monotonic() - begin < 8  # four seconds of waiting, and the start of Python


def test_an_empty_database_stops_the_start(tmp_path: Path) -> None:
    line = refusal(tmp_path)

    assert line.startswith("Cannot start: the database is empty")
    assert "alembic upgrade head" in line


@pytest.mark.parametrize(
    ("revision", "advice"),
    [("7c1f0e5b2a94", "run `alembic upgrade head`"), ("from_the_future", "it is newer than the code")],
)
def test_another_schema_stops_the_start(instance: Path, revision: str, advice: str) -> None:
    pretend_to_be_at(instance, revision)

    line = refusal(instance)

    assert line.startswith(f"Cannot start: the database is at {revision}, ")
    assert advice in line


def test_upgrade_does_not_touch_a_schema_that_it_does_not_know(instance: Path) -> None:
    pretend_to_be_at(instance, "from_the_future")

    assert "from_the_future" in refusal(instance, "--upgrade")


def test_a_file_that_is_not_a_database_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "app.db").write_text("Dear diary, this is no database.\n" * 100)

    assert "file is not a database" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("WORKERS", "x", "WORKERS is 'x'"),
        ("WORKERS", "0", "WORKERS lies between 1 and"),
        ("SECRET_KEY", "short", "SECRET_KEY is shorter than 32"),
        ("BIND", "127.0.0.1:99999", "'127.0.0.1:99999' is not a host"),
        ("BASE_URL", "https://www.example.com/shop", "BASE_URL is 'https://www.example.com/shop'"),
        ("SQLALCHEMY_DATABASE_URI", "postgresql://localhost/app", "not postgresql"),
        ("INSTANCE_PATH", "/dev/null", "/dev/null"),
    ],
)
def test_a_wrong_setting_stops_the_start(instance: Path, key: str, value: str, said: str) -> None:
    line = refusal(instance, **{key: value})

    assert line.startswith("Cannot start: ")
    assert said in line


def test_an_instance_folder_that_is_not_writable_stops_the_start() -> None:
    assert "/dev/null" in refusal(Path("/dev/null"), SECRET_KEY="")


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("BIND = (", "SyntaxError"),
        ("WORKERS = fifteen", "NameError: name 'fifteen' is not defined"),
        ("WORKERS = 'x'", "WORKERS is 'x'"),
        ("raise ValueError('one line\\nand another')", "one line and another"),
        ("raise SystemExit", "SystemExit"),
    ],
)
def test_a_broken_instance_file_stops_the_start(instance: Path, file: str, said: str) -> None:
    (instance / "application.cfg.py").write_text(file)

    assert said in refusal(instance)


def pretend_to_be_at(instance: Path, revision: str) -> None:
    with closing(sqlite3.connect(instance / "app.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [revision])
