"""A MariaDB of the test session's own: no service, no fixed port."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pymysql
from pymysql.connections import Connection

from app.models import Base

SERVER_PATHS = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])


@dataclass
class MariaDB:
    """A server that creates databases, and that can be frozen, killed and started again."""

    program: str
    options: tuple[str, ...] = ()
    port: int = 0
    home: Path = Path()
    process: "subprocess.Popen[bytes]" = field(init=False)

    @classmethod
    def find(cls) -> "MariaDB | None":
        program = shutil.which("mariadbd", path=SERVER_PATHS)
        return cls(program) if program else None

    @contextmanager
    def running(self, home: Path) -> Iterator[None]:
        self.home, self.port = home, free_port()
        self.home.mkdir(exist_ok=True)
        folders = [f"--datadir={home}/data", f"--tmpdir={home}"]
        options = ["--no-defaults", *folders, "--skip-test-db", "--auth-root-authentication-method=normal"]
        subprocess.run(["mariadb-install-db", *options, *self._as_root()], check=True, capture_output=True)
        self.start()
        try:
            yield
        finally:
            self.stop()

    def start(self) -> None:
        """Start the server and wait until it accepts connections."""
        # latin1 and an empty sql_mode: our connections must work on a server that is set up badly.
        files = {"datadir": "data", "tmpdir": "", "socket": "sock", "pid-file": "pid", "log-error": "error.log"}
        command = [self.program, "--no-defaults", *self._as_root(), f"--port={self.port}", "--bind-address=127.0.0.1"]
        command += [f"--{option}={self.home}/{file}" for option, file in files.items()]
        command += ["--skip-log-bin", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M"]
        command += ["--innodb-log-file-size=8M", "--character-set-server=latin1", "--sql-mode="]
        self.process = subprocess.Popen([*command, *self.options])
        for _ in range(1200):
            try:
                self.connect().close()
            except pymysql.err.OperationalError:
                if self.process.poll() is not None:
                    raise RuntimeError((self.home / "error.log").read_text()) from None
                time.sleep(0.05)
            else:
                return
        raise RuntimeError("MariaDB did not start in 60 s")

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)

    def kill(self) -> None:
        """End the server as a power cut would."""
        self.process.kill()
        self.process.wait(20)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the server without closing anything: it accepts connections and sends nothing."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def connect(self, database: str | None = None) -> "Connection[pymysql.cursors.Cursor]":
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user="root", database=database, charset="utf8mb4", autocommit=True
        )

    def execute(self, *statements: str, database: str | None = None) -> None:
        connection = self.connect(database)
        with connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def create_database(self, name: str, *, charset: str = "latin1") -> str:
        """Make an empty database, and return its URL as in SQLALCHEMY_DATABASE_URI."""
        self.execute(f"DROP DATABASE IF EXISTS `{name}`", f"CREATE DATABASE `{name}` CHARACTER SET {charset}")
        return f"mysql+aiomysql://root@127.0.0.1:{self.port}/{name}"

    def empty(self, name: str) -> None:
        """Delete every row but Alembic's: those of the tables that refer to no other, which takes the others along."""
        tables = [table.name for table in Base.metadata.sorted_tables if not table.foreign_keys]
        self.execute(*(f"DELETE FROM `{table}`" for table in tables), database=name)

    def quote(self, text: str) -> str:
        with self.connect() as connection:
            quoted: str = connection.escape(text)
        return quoted

    def _as_root(self) -> list[str]:
        return ["--user=root"] if os.geteuid() == 0 else []


def free_port() -> int:
    """Return a free port below those of clients: else any connection of this machine could get it meanwhile."""
    while True:
        port = 10_000 + secrets.randbelow(22_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
