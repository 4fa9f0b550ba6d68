"""Two machines of the site on one cluster: each has HAProxy in front of the site, and HAProxy before the database."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from support.app import ROOT, UNLIMITED
from support.email_links import UNREACHABLE
from support.galera import Cluster, Node, query
from support.mariadb_server import free_port
from support.proxy_process import PROGRAM, running_proxy, running_until_the_end
from support.server_process import Server, running

DATABASE_CONFIGURATION = ROOT / "deploy/haproxy-database.cfg"
OPEN = {"RATE_LIMIT_WRONG_PASSWORDS_PER_ACCOUNT": "5 per 5 minutes", **UNREACHABLE, "MAIL_PORT": "1"}
PEERS = "    bind 10.0.0.21:10000\n    server site1\n    server site2 10.0.0.22:10000\n"


@dataclass
class Machine:
    """A machine of the site: its name, the IP address of its database proxy, the port of its site and of its proxy."""

    name: str
    ip: str
    folder: Path
    site_port: int = field(default_factory=free_port)
    proxy_port: int = field(default_factory=free_port)
    server: Server | None = None

    @property
    def url(self) -> str:
        return f"http://localhost:{self.proxy_port}"

    def running_site(self, database_uri: str) -> AbstractContextManager[Server]:
        settings: dict[str, Any] = UNLIMITED | OPEN | {"SQLALCHEMY_DATABASE_URI": database_uri, "TRUSTED_PROXIES": "1"}
        return running(self.folder, address=f"127.0.0.1:{self.site_port}", **settings)


@dataclass
class Machines:
    """The machines and the cluster that they use."""

    cluster: Cluster
    both: list[Machine]
    stack: ExitStack
    links: list[str] = field(default_factory=list)  # of password resets

    @property
    def urls(self) -> list[str]:
        return [machine.url for machine in self.both]

    def writer(self) -> Node:
        """Return the node to which both machines connect."""
        (name,) = {query(machine.ip, "SELECT @@wsrep_node_name")[0][0] for machine in self.both}
        return next(node for node in self.cluster.nodes if node.name == name)

    @contextmanager
    def balanced(self, folder: Path) -> Iterator[str]:
        """Distribute connections over all nodes, as deploy/haproxy-database.cfg does not, and yield the IP address."""
        ip = f"{self.cluster.prefix}31"
        times = "".join(f"    timeout {name} 10s\n" for name in ("connect", "client", "server"))
        servers = "".join(f"    server {node.name} {node.ip}:3306\n" for node in self.cluster.nodes)
        (folder / "balanced.cfg").write_text(f"listen database\n    mode tcp\n    bind {ip}:3306\n{times}{servers}")
        command = [str(PROGRAM), "-db", "-f", str(folder / "balanced.cfg")]
        with running_until_the_end(command, folder / "balanced.log", 3306, host=ip):
            yield ip

    def start_site(self, machine: Machine) -> None:
        machine.server = self.stack.enter_context(machine.running_site(self.cluster.uri(machine.ip)))

    def start(self) -> None:
        for machine in self.both:
            self.stack.enter_context(self._running_database_proxy(machine))
        for machine in self.both:
            self.start_site(machine)
        ports = tuple(f"127.0.0.1:{machine.site_port}" for machine in self.both)
        for machine in self.both:
            sites = (ports[0], ports[1])
            self.stack.enter_context(running_proxy(machine.folder, port=machine.proxy_port, sites=sites))
        for machine in self.both:
            assert httpx.get(f"{machine.url}/readyz", timeout=10).status_code == 200

    def _running_database_proxy(self, machine: Machine) -> AbstractContextManager[None]:
        text, prefix = DATABASE_CONFIGURATION.read_text(), self.cluster.prefix
        (other,) = [each for each in self.both if each is not machine]
        peers = f"    bind {machine.ip}:10000\n    server {machine.name}\n    server {other.name} {other.ip}:10000\n"
        for old, new, times in (
            ("    user haproxy\n    group haproxy\n", "", 1),
            (PEERS, peers, 1),
            ("bind 127.0.0.1:3306", f"bind {machine.ip}:3306", 1),
            ("    server db1 10.0.0.", f"    server db1 {prefix}", 1),
            ("    server db2 10.0.0.", f"    server db2 {prefix}", 1),
            ("    server db3 10.0.0.", f"    server db3 {prefix}", 1),
        ):
            assert text.count(old) == times, old
            text = text.replace(old, new)
        file = machine.folder / "haproxy-database.cfg"
        file.write_text(text)
        command = [str(PROGRAM), "-db", "-L", machine.name, "-f", str(file)]
        return running_until_the_end(command, machine.folder / "haproxy-database.log", 3306, host=machine.ip)


@contextmanager
def running_machines(cluster: Cluster, folder: Path) -> Iterator[Machines]:
    """Run both machines until the block ends."""
    both = [Machine(f"site{number}", f"{cluster.prefix}2{number}", folder / f"site{number}") for number in (1, 2)]
    for machine in both:
        machine.folder.mkdir()
    with ExitStack() as stack:
        machines = Machines(cluster, both, stack)
        machines.start()
        yield machines
