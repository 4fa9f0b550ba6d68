"""The commands of docs/how-to/deploy.md, as root in a chroot, install a machine that serves the site.

Programs that record their arguments replace apt-get, systemctl and certbot. The requirements are those of the
tests, because tests/starter/test_container.py installs them with pip already.
"""

import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from support.app import ROOT, copy_tree
from support.container import Stage, end
from support.load import wait_until
from support.mariadb_server import MariaDB, free_port
from support.proxy_process import PROGRAM

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can run the commands of the guide"),
    pytest.mark.skipif(PROGRAM is None, reason="no haproxy on this machine: apt-get install haproxy"),
]

GUIDE = (ROOT / "docs/how-to/deploy.md").read_text()
REPLACED = ("apt-get", "systemctl", "certbot")
NOTING = '#!/bin/sh\necho "${0##*/} $*" >> /replaced/log\n'
FOLDERS = ("opt", "replaced", "run", "var/lib", "var/backups", "etc/haproxy", "etc/systemd/system")


def commands(section: str) -> list[str]:
    """Return the blocks of a section that the tests run."""
    (text,) = re.findall(rf"^##+ {section}\n(.*?)(?=^##+ |\Z)", GUIDE, re.MULTILINE | re.DOTALL)
    return re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


class Machine:
    """A chroot in which the guide was followed up to its section "Check"."""

    def __init__(self, folder: Path) -> None:
        self.stage = Stage(folder / "machine", is_local_writable=True, shown=(sys.prefix,))
        self.root = self.stage.root
        for name in FOLDERS:
            (self.root / name).mkdir(parents=True)
        (folder / "machine-local/sbin").mkdir(parents=True)  # Debian has it
        for name in REPLACED:
            (self.root / "replaced" / name).write_text(NOTING)
            (self.root / "replaced" / name).chmod(0o755)
        for name, line in (("passwd", "haproxy:x:900:900::/:/bin/sh\n"), ("group", "haproxy:x:900:\n")):
            path = self.root / "etc" / name
            path.write_text(path.read_text() + line)
        self.stage.variables["PATH"] = "/replaced:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"
        self.add_version("site-1")
        for name in ("Install", "Settings", "Service", "TLS", "Check"):
            self.follow(*commands(name))

    def add_version(self, name: str) -> None:
        """Put the code into a folder, with what `make .venv/runs` makes, from the packages of the tests."""
        folder = copy_tree(self.root / "opt" / name)
        self.stage.run(["python3", "-m", "venv", "--without-pip", f"/opt/{name}/.venv"])
        (packages,) = folder.glob(".venv/lib/python*/site-packages")
        (packages / "tests.pth").write_text(f"{sysconfig.get_path('purelib')}\n/opt/{name}/src\n")
        for program in ("alembic", "quart"):
            script = Path(sys.executable).with_name(program).read_text()
            target = folder / ".venv/bin" / program
            target.write_text(re.sub("^#!.*", f"#!/opt/{name}/.venv/bin/python", script))
            target.chmod(0o755)
        (folder / ".venv/runs").write_text(f"/opt/{name}\n")

    def follow(self, *blocks: str) -> str:
        """Run blocks of the guide in one shell, and return their output."""
        script = "\n".join(["HOST=www.example.com", *blocks])
        return self.stage.run(["sh", "-euc", script]).stdout

    @property
    def replaced(self) -> list[str]:
        return (self.root / "replaced/log").read_text().splitlines()

    @contextmanager
    def serving(self) -> Iterator[httpx.Client]:
        address, log = f"127.0.0.1:{free_port()}", self.root.parent / "log"
        command = self.stage.enter(["site-run", "python", "run.py"], QUART_BIND=address)
        with log.open("w") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            wait_until(lambda: "Running on" in log.read_text() or process.poll() is not None)
            with httpx.Client(base_url=f"http://{address}", headers={"Host": "www.example.com"}) as client:
                yield client
        finally:
            end(process)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return Machine(tmp_path_factory.mktemp("guide"))


def owner_and_mode(path: Path) -> tuple[int, str]:
    return path.stat().st_uid, oct(path.stat().st_mode)[-3:]


def test_what_the_guide_installs_serves_the_site(machine: Machine) -> None:
    with machine.serving() as client:
        assert client.get("/readyz").json() == {"status": "ready"}
        assert client.get("/").headers["strict-transport-security"]

    assert "systemctl enable --now site.socket site.service" in machine.replaced
    assert owner_and_mode(machine.root / "etc/site/credentials") == (0, "700")
    assert owner_and_mode(machine.root / "etc/haproxy/www.example.com.pem") == (0, "600")
    assert owner_and_mode(machine.root / "var/lib/site/app.db")[1] == "600"
    assert (machine.root / "var/lib/site/app.db").stat().st_uid != 0


def test_the_hook_of_certbot_gives_the_certificate_to_haproxy(machine: Machine) -> None:
    (certbot,) = [line for line in machine.replaced if line.startswith("certbot ")]
    hook = certbot.partition(" --deploy-hook ")[2]  # without it Debian 12 runs the hook only when it renews
    lineage = machine.root / "lineage"
    lineage.mkdir()
    (machine.root / "etc/haproxy/www.example.com.pem").unlink()
    (lineage / "fullchain.pem").write_text("certificate\n")
    (lineage / "privkey.pem").write_text("key\n")
    machine.stage.run([hook], RENEWED_LINEAGE="/lineage")

    assert (machine.root / "etc/haproxy/www.example.com.pem").read_text() == "certificate\nkey\n"
    assert owner_and_mode(machine.root / "etc/haproxy/www.example.com.pem") == (0, "600")
    assert machine.replaced[-1] == "systemctl reload haproxy"


def test_haproxy_uses_no_server_that_does_not_run(machine: Machine) -> None:
    def servers() -> list[str]:
        return re.findall("^ +server (one|two) ", (machine.root / "etc/haproxy/haproxy.cfg").read_text(), re.MULTILINE)

    assert servers() == ["one"]
    machine.follow(commands("Upgrade without downtime")[1])
    assert servers() == ["one", "two"]


def test_a_backup_is_restored(machine: Machine) -> None:
    backup, _, restore, _ = commands("Back up")
    machine.follow(
        "printf 'a long secret\\na long secret\\n' | site-run quart --app run users create ada@example.com", backup
    )
    machine.follow("printf y | site-run quart --app run users delete ada@example.com", restore)

    assert "systemctl stop site*.socket site*.service" in machine.replaced  # also the second server
    assert "ada@example.com" in machine.follow("site-run quart --app run users list")
    assert "settings.env" in machine.follow("tar --list --file=/var/backups/site/settings.tar")


def test_an_upgrade_and_the_return_to_the_old_version(machine: Machine) -> None:
    upgrade, second_server, back = commands("Upgrade without downtime")
    machine.add_version("site-2")
    machine.follow(upgrade)
    assert (machine.root / "opt/site").readlink() == Path("site-2")
    assert machine.replaced[-1] == "systemctl restart site.service"

    machine.follow(second_server, back)
    units = machine.root / "etc/systemd/system"
    assert (machine.root / "opt/site").readlink() == Path("site-1")
    assert "ListenStream=127.0.0.1:5002\n" in (units / "site-two.socket").read_text()
    assert "Requires=site-two.socket\n" in (units / "site-two.service").read_text()


def test_a_rotated_key_leaves_the_former_one_as_a_fallback(machine: Machine) -> None:
    former = (machine.root / "etc/site/credentials/SECRET_KEY").read_text()
    machine.follow(*commands("Rotate the key"))
    script = "from run import app; print(app.config['SECRET_KEY_FALLBACKS'])"

    assert machine.follow(f'site-run python -c "{script}"') == f"{(former.strip(),)}\n"
    assert (machine.root / "etc/site/credentials/SECRET_KEY").read_text() != former


def test_the_steps_for_mariadb(machine: Machine, mariadb: MariaDB) -> None:
    client = machine.root / "etc/mysql"
    client.mkdir()
    (client / "my.cnf").write_text(f"[client]\nhost=127.0.0.1\nport={mariadb.port}\nuser=root\n")
    _, dump, _, restore = commands("Back up")
    server = f"printf 'QUART_DB_SERVER=127.0.0.1:{mariadb.port}\\n' >> /etc/site/settings.env"

    machine.follow(*commands("MariaDB"), server, "site-run alembic upgrade head", dump, restore)
    with machine.serving() as site:
        assert site.get("/readyz").json() == {"status": "ready"}
    assert "mysql+aiomysql://site:***@127.0.0.1" in machine.follow("site-run quart --app run check")
