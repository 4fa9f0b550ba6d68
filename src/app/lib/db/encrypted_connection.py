"""Connections to MySQL and MariaDB that are encrypted before the user and the password are sent."""

from typing import Any

import aiomysql  # type: ignore[import-untyped]
from pymysql.constants import CLIENT
from pymysql.err import OperationalError


class EncryptedConnection(aiomysql.Connection):  # type: ignore[misc]
    """Refuse a server that offers no TLS as soon as it has said so.

    aiomysql goes on without TLS. An attacker in the network who removes the offer could then request the password in
    plaintext: https://duo.com/blog/backronym-mysql-vulnerability
    """

    @property
    def server_capabilities(self) -> int:
        return self.offered

    @server_capabilities.setter
    def server_capabilities(self, offered: int) -> None:
        if not offered & CLIENT.SSL:
            raise OperationalError(2026, "the server offers no TLS, and the settings require it")
        self.offered = offered


async def connect(**arguments: Any) -> EncryptedConnection:
    """Return a connection to a server that offers TLS. Raises OperationalError."""
    connection = EncryptedConnection(**arguments)
    await connection.ping(reconnect=True)  # which connects
    return connection
