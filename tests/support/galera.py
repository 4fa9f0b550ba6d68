"""Three nodes of a Galera cluster with deploy/galera.cnf, on IP addresses of the loopback that no other cluster has."""

import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pymysql

from support.app import ROOT, migrate
from support.mariadb_server import SERVER_PATHS

CONFIGURATION = ROOT / "deploy/galera.cnf"
PROGRAM = shutil.which("mariadbd", path=SERVER_PATHS)
PROVIDER = Path("/usr/lib/galera/libgalera_smm.so")
SCRIPTS = ("rsync", "wsrep_sst_rsync")
MISSING = (
    None if PROGRAM and PROVIDER.exists() and all(map(shutil.which, SCRIPTS)) else "apt-get install galera-4 rsync"
)
SMALL = ("--innodb-buffer-pool-size=16M", "--innodb-log-file-size=8M", "--skip-performance-schema")
FAST = ("--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=OFF")
RUNS_AS = "mysql" if os.geteuid() == 0 else ""  # rsync copies nothing for a server that runs as root
TIMEOUT_SECONDS = 90
GUIDE = (ROOT / "docs/how-to/run-several-machines.md").read_text()
ACCOUNTS, GRANT = [sql.replace("10.0.0.%", "127.%") for sql in re.findall(r"```sql\n(.*?)```", GUIDE, re.DOTALL)]
PASSWORD = re.findall(r"IDENTIFIED BY '(.*)'", ACCOUNTS)[0]
TESTER = "CREATE USER 'root'@'127.%'; GRANT ALL ON *.* TO 'root'@'127.%';\n"


def query(ip: str, statement: str) -> list[tuple[Any, ...]]:
    """Return the rows of a statement that a node executes, or the node behind a proxy."""
    connection = pymysql.connect(host=ip, user="root", autocommit=True, connect_timeout=3, read_timeout=10)
    with connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


@dataclass
class Node:
    """A server of the cluster."""

    name: str
    ip: str
    home: Path
    process: "subprocess.Popen[bytes] | None" = None

    def start(self, *options: str) -> None:
        command = [str(PROGRAM), f"--defaults-file={self.home}.cnf", *SMALL, *FAST, *options]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        self.end(signal.SIGTERM)

    def end(self, number: signal.Signals) -> None:
        if self.process:
            self.process.send_signal(number)
            self.process.wait(TIMEOUT_SECONDS)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        assert self.process
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        return query(self.ip, statement)

    def state(self) -> str:
        """Return "Synced" if the node serves. It refuses connections while it copies the data of another."""
        try:
            return str(self.query("SHOW STATUS LIKE 'wsrep_local_state_comment'")[0][1])
        except pymysql.err.MySQLError:
            return "unreachable"

    def log(self) -> str:
        return Path(f"{self.home}.err").read_text(errors="replace")

    def wait_until(self, condition: Callable[[], bool]) -> None:
        until = time.monotonic() + TIMEOUT_SECONDS
        while not condition():
            assert self.process is None or self.process.poll() is None, self.log()
            assert time.monotonic() < until, self.log()
            time.sleep(0.1)

    def wait_until_synced(self) -> None:
        self.wait_until(lambda: self.state() == "Synced")


@dataclass
class Cluster:
    """The nodes db1, db2 and db3. `prefix` is the beginning of their IP addresses."""

    home: Path
    prefix: str = field(default_factory=lambda: f"127.{1 + secrets.randbelow(254)}.{secrets.randbelow(255)}.")
    nodes: list[Node] = field(default_factory=list)

    def __post_init__(self) -> None:
        for number in (1, 2, 3):
            node = Node(f"db{number}", f"{self.prefix}1{number}", self.home / f"db{number}")
            Path(f"{node.home}.cnf").write_text(self._configuration(node))
            self.nodes.append(node)

    def _configuration(self, node: Node) -> str:
        """Return deploy/galera.cnf for a node, with a small cache and its own paths."""
        text = CONFIGURATION.read_text()
        everyone = "gcomm://10.0.0.11,10.0.0.12,10.0.0.13"
        for old, new, times in (
            (everyone, everyone.replace("10.0.0.", self.prefix), 1),
            ("=10.0.0.11", f"={node.ip}", 2),
            ("tcp://10.0.0.11", f"tcp://{node.ip}", 1),
            ("wsrep-node-name=db1", f"wsrep-node-name={node.name}", 1),
            ("gcache.size=512M", "gcache.size=16M", 1),
            ("user=mysql ", f"user={RUNS_AS} " if RUNS_AS else "# ", 1),
        ):
            assert text.count(old) == times, old
            text = text.replace(old, new)
        paths = {
            "datadir": node.home,
            "tmpdir": self.home,
            "socket": f"{node.home}.sock",
            "log-error": f"{node.home}.err",
        }
        return text + "".join(f"{name}={path}\n" for name, path in paths.items()) + f"pid-file={node.home}.pid\n"

    def start(self) -> None:
        """Start one node, create the tables, and start the others with a copy of its data."""
        first, *others = self.nodes
        install = ["mariadb-install-db", "--no-defaults", f"--datadir={first.home}", f"--tmpdir={self.home}"]
        install += [
            "--skip-test-db",
            "--auth-root-authentication-method=normal",
            *([f"--user={RUNS_AS}"] * bool(RUNS_AS)),
        ]
        subprocess.run(install, check=True, capture_output=True)
        first.start("--wsrep-new-cluster", f"--init-file={self._accounts()}")
        first.wait_until_synced()
        done = migrate(self.uri(first.ip), instance=self.home)
        assert done.returncode == 0, done.stderr
        first.query(GRANT)
        first.stop()
        for other in others:
            subprocess.run(["cp", "-a", first.home, other.home], check=True)
        first.start("--wsrep-new-cluster")
        first.wait_until_synced()
        for other in others:
            other.start()
        for other in others:
            other.wait_until_synced()

    def uri(self, ip: str) -> str:
        return f"mysql+aiomysql://site:{quote(PASSWORD)}@{ip}:3306/site"

    def _accounts(self) -> Path:
        file = self.home / "accounts.sql"
        file.write_text(ACCOUNTS + TESTER)
        return file

    def stop(self) -> None:
        """End the nodes at once: their data is deleted."""
        for node in self.nodes:
            if node.process and node.process.poll() is None:
                node.process.send_signal(signal.SIGCONT)
                node.end(signal.SIGKILL)


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Run the cluster until the block ends, in a folder that the user mysql may enter."""
    home = Path(tempfile.mkdtemp(prefix="galera-"))
    home.chmod(0o755)
    if RUNS_AS:
        shutil.chown(home, RUNS_AS)
    cluster = Cluster(home)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        with suppress(FileNotFoundError):
            shutil.rmtree(home)
