"""Connections to MySQL and MariaDB that are encrypted before the user and the password are sent."""

from typing import Any

import aiomysql  # type: ignore[import-untyped]
from pymysql.constants import CLIENT
from pymysql.err import OperationalError


class EncryptedConnection(aiomysql.Connection):  # type: ignore[misc]
    """Refuse a server that offers no TLS, before the password is sent. Raises OperationalError.

    aiomysql continues without TLS. An attacker on the network could remove the offer from the greeting of the server,
    and then request the password in plaintext: https://duo.com/blog/backronym-mysql-vulnerability

    aiomysql sets `server_capabilities` when it has read the greeting, and sends the user and the password afterwards.
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
