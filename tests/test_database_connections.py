"""Connections to a real MariaDB: passwords in any script, TLS, a Unix socket, and what they carry unchanged."""

import asyncio
import ssl
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymysql.constants import CLIENT
from quart import Quart
from sqlalchemy import Column, Integer, LargeBinary, MetaData, Table, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.app_factory import create_app
from app.lib.db import DatabaseUnavailable, db
from support.app import SECRET_KEY, both_databases, on_mariadb
from support.mariadb_server import MariaDB

PASSWORD = "pässwörd 🦊 日本 %40:/@'\"\\"
BLOBS = Table("blobs", MetaData(), Column("id", Integer, primary_key=True), Column("data", LargeBinary(5000)))


async def fetch(session: AsyncSession, query: str) -> Any:
    return (await session.execute(text(query))).one()


async def ask(query: str = "SELECT 1", **settings: Any) -> Any:
    app = create_app({"SECRET_KEY": SECRET_KEY} | settings)
    async with app.app_context():
        try:
            return (await db.read(fetch, query))[-1]
        finally:
            await db.dispose()


def make_certificates(folder: Path) -> None:
    """Make a CA, and a certificate that it issues for localhost."""
    commands = [
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=ca",
        "req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost",
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2 -extfile names",
        "req -x509 -newkey rsa:2048 -nodes -keyout other.key -out other.pem -days 2 -subj /CN=other",
    ]
    folder.mkdir()
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    for command in commands:
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def with_tls(mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[MariaDB, Path]]:
    """Start a server that offers TLS, and return it with the folder of its certificates."""
    folder = tmp_path_factory.mktemp("tls") / "certificates"
    make_certificates(folder)
    files = {"ssl-ca": "ca.pem", "ssl-cert": "server.pem", "ssl-key": "server.key"}
    server = MariaDB(mariadb.program, tuple(f"--{option}={folder / file}" for option, file in files.items()))
    with server.running(tmp_path_factory.mktemp("mariadb-tls")):
        server.create_database("site")
        yield server, folder


def url_of(server: MariaDB, *options: str, host: str = "localhost") -> str:
    return f"mysql://root@{host}:{server.port}/site?{'&'.join(options)}"


async def test_a_database_password_in_any_script_logs_in(mariadb: MariaDB) -> None:
    mariadb.create_database("site")
    account = "'shop'@'127.0.0.1'"
    mariadb.execute(
        f"CREATE OR REPLACE USER {account} IDENTIFIED BY {mariadb.quote(PASSWORD)}", f"GRANT ALL ON site.* TO {account}"
    )
    server = {"DB_NAME": "site", "DB_USERNAME": "shop", "DB_SERVER": f"127.0.0.1:{mariadb.port}"}

    assert await ask("SELECT CURRENT_USER()", DB_PASSWORD=PASSWORD, **server) == "shop@127.0.0.1"
    with pytest.raises(DatabaseUnavailable, match="1045"):
        await ask(DB_PASSWORD=PASSWORD + "x", **server)


async def test_a_unix_socket_is_the_path_of_the_server(mariadb: MariaDB) -> None:
    mariadb.create_database("site")
    server = {"DB_NAME": "site", "DB_USERNAME": "root", "DB_SERVER": str(mariadb.home / "sock")}

    assert await ask("SELECT CURRENT_USER()", **server) == "root@localhost"


@pytest.mark.parametrize(
    "options", ["ssl_ca={ca}", "ssl=true&ssl_ca={ca}", "ssl_mode=VERIFY_CA&ssl_ca={ca}", "ssl_mode=REQUIRED"]
)
async def test_tls_options_of_the_url_encrypt_the_connection(with_tls: tuple[MariaDB, Path], options: str) -> None:
    server, folder = with_tls
    url = url_of(server, options.format(ca=folder / "ca.pem"))

    assert (await ask("SHOW SESSION STATUS LIKE 'Ssl_cipher'", SQLALCHEMY_DATABASE_URI=url)).startswith("TLS_")


async def test_tls_options_of_the_engine_encrypt_the_connection(with_tls: tuple[MariaDB, Path]) -> None:
    server, folder = with_tls
    ca = str(folder / "ca.pem")
    for given in ({"ca": ca}, {"ca": ca, "check_hostname": True}, ssl.create_default_context(cafile=ca)):
        options = {"connect_args": {"ssl": given}}
        settings = {"SQLALCHEMY_DATABASE_URI": url_of(server), "SQLALCHEMY_ENGINE_OPTIONS": options}
        assert (await ask("SHOW SESSION STATUS LIKE 'Ssl_cipher'", **settings)).startswith("TLS_")


async def test_a_certificate_that_does_not_verify_is_refused(with_tls: tuple[MariaDB, Path]) -> None:
    server, folder = with_tls
    for url in (
        url_of(server, f"ssl_ca={folder / 'other.pem'}"),
        url_of(server, "ssl=true"),  # the CA is not one that the system trusts
        url_of(server, f"ssl_ca={folder / 'ca.pem'}", host="127.0.0.1"),  # the certificate names localhost
    ):
        with pytest.raises(DatabaseUnavailable):
            await ask(SQLALCHEMY_DATABASE_URI=url)


GREETING = struct.pack(  # of a server without TLS that wants the password in plaintext
    "<B7sI8sxHBHHB10x13s21s",
    10,
    b"8.0.30",
    1,
    b"s" * 8,
    0xFFFF & ~CLIENT.SSL,
    45,
    2,
    (CLIENT.PLUGIN_AUTH | CLIENT.PLUGIN_AUTH_LENENC_CLIENT_DATA) >> 16,
    21,
    b"s" * 12,
    b"mysql_clear_password",
)
SWITCH_TO_PLAINTEXT = b"\xfemysql_clear_password\0"


async def test_no_password_is_sent_to_a_server_that_offers_no_tls() -> None:
    received = bytearray()

    async def steal(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number, packet in ((0, GREETING), (2, SWITCH_TO_PLAINTEXT)):
            writer.write(struct.pack("<I", len(packet) | number << 24) + packet)
            received.extend(await reader.read(1000))
        writer.close()

    async with await asyncio.start_server(steal, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(DatabaseUnavailable, match="the server offers no TLS"):
            await ask(SQLALCHEMY_DATABASE_URI=f"mysql://site:secret@127.0.0.1:{port}/site?ssl=true")

    assert received == b""


async def test_plaintext_is_refused_where_tls_is_configured(mariadb: MariaDB) -> None:
    mariadb.create_database("site")
    with pytest.raises(DatabaseUnavailable, match="the server offers no TLS"):
        await ask(SQLALCHEMY_DATABASE_URI=url_of(mariadb, "ssl_mode=required"))
    assert await ask(SQLALCHEMY_DATABASE_URI=url_of(mariadb, "ssl=false")) == 1


async def test_an_init_command_runs_after_that_of_the_site(mariadb: MariaDB) -> None:
    mariadb.create_database("site")
    query = "SELECT CONCAT_WS(' ', @@lock_wait_timeout, @@time_zone, @@sql_mode LIKE 'STRICT_ALL_TABLES%')"
    for given in ("SET SESSION lock_wait_timeout=7", "SET SESSION lock_wait_timeout = 7;"):
        options = {"connect_args": {"init_command": given}}
        settings = {"SQLALCHEMY_DATABASE_URI": url_of(mariadb), "SQLALCHEMY_ENGINE_OPTIONS": options}
        assert await ask(query, **settings) == "7 +00:00 1"
    with pytest.raises(DatabaseUnavailable, match="1193"):
        await ask(SQLALCHEMY_DATABASE_URI=url_of(mariadb, "init_command=SET+SESSION+no_such=1"))


async def count_unchanged_rows(session: AsyncSession) -> int:
    for statement in ("CREATE TEMPORARY TABLE numbers (number INT)", "INSERT INTO numbers VALUES (1)"):
        await session.execute(text(statement))
    return (await session.execute(text("UPDATE numbers SET number = 1"))).rowcount  # type: ignore[attr-defined,no-any-return]


async def test_numbers_of_the_driver_may_be_text(mariadb: MariaDB) -> None:
    mariadb.create_database("site")
    options = {"connect_args": {"connect_timeout": "5", "client_flag": str(CLIENT.MULTI_RESULTS)}}
    settings = {"SQLALCHEMY_DATABASE_URI": url_of(mariadb), "SQLALCHEMY_ENGINE_OPTIONS": options}
    app = create_app({"SECRET_KEY": SECRET_KEY} | settings)

    async with app.app_context():
        assert await db.write(count_unchanged_rows) == 1  # an UPDATE counts the rows that it matches
        await db.dispose()


@on_mariadb
@pytest.mark.parametrize("number", [1047, 1053, 1290, 1836])
async def test_a_server_that_cannot_serve_is_left_and_the_transaction_runs_again(app: Quart, number: int) -> None:
    used = []

    async def fail_once(session: AsyncSession) -> int:
        used.append(await session.scalar(text("SELECT CONNECTION_ID()")))
        if len(used) == 1:
            await session.execute(text(f"SIGNAL SQLSTATE '08S01' SET MYSQL_ERRNO = {number}"))
        return len(used)

    async with app.app_context():
        assert await db.write(fail_once) == 2
        assert await db.read(fail_once) == 3
    assert used[0] not in used[1:]


@both_databases
async def test_bytes_are_stored_unchanged(app: Quart) -> None:
    data = bytes(range(256)) * 16

    async def write(session: AsyncSession) -> None:
        await (await session.connection()).run_sync(BLOBS.create)
        await session.execute(insert(BLOBS).values(data=data))

    async def read(session: AsyncSession) -> bytes | None:
        return await session.scalar(select(BLOBS.c.data).where(BLOBS.c.data == data))

    async with app.app_context():
        await db.write(write)
        try:
            assert await db.read(read) == data
        finally:
            await db.write(drop)


async def drop(session: AsyncSession) -> None:
    await (await session.connection()).run_sync(BLOBS.drop)
