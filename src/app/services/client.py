"""The client of a request, as service functions know it, and the session that a login starts for it."""

from datetime import datetime
from typing import NamedTuple

from app.models.user_session import IP_LENGTH, USER_AGENT_LENGTH


class Client(NamedTuple):
    """The sender of a request. `network` is the subject of rate limits: an IPv4 address, or an IPv6 /64 network."""

    ip: str
    user_agent: str
    network: str = ""
    language: str | None = None

    @property
    def stored_ip(self) -> str:
        return self.ip[:IP_LENGTH]

    @property
    def stored_user_agent(self) -> str:
        return self.user_agent[:USER_AGENT_LENGTH]


COMMAND_LINE = Client("command line", "")  # not an IP address, so no request can have it


class NewSession(NamedTuple):
    """The session that a login starts. `replaces` is the token of the session that the browser had before.

    `target` is the page that the browser opens next. `authenticated_on` is when the user gave every proof, if not now.
    """

    client: Client
    remember: bool = False
    replaces: str | None = None
    target: str | None = None
    authenticated_on: datetime | None = None
