"""A mail server for the tests: it speaks SMTP over a socket, takes mails, and misbehaves as told."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from mariadb_server import free_port


@dataclass
class MailServer:
    """Answers RCPT and DATA with what it is told to, after a while or never."""

    port: int = field(default_factory=free_port)
    to_recipient: str = "250 OK"
    to_data: str = "250 OK"
    hang: threading.Event = field(default_factory=threading.Event)  # set: never answer to DATA
    gone_after_data: bool = False  # take the mail, and hang up without a word
    envelopes: list[Envelope] = field(default_factory=list)

    @property
    def messages(self) -> list[EmailMessage]:
        return [message_from_bytes(taken.original_content or b"", policy=policy.default) for taken in self.envelopes]

    @property
    def settings(self) -> dict[str, object]:
        sender = "Example Site <site@example.com>"
        return {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": self.port, "MAIL_DEFAULT_SENDER": sender}

    async def handle_RCPT(  # noqa: N802 # aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.to_recipient.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.to_recipient

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        while self.hang.is_set():
            time.sleep(0.05)  # noqa: ASYNC251 # the server has a thread of its own, and is to hang
        if self.to_data.startswith("250"):
            self.envelopes.append(envelope)
        if self.gone_after_data and server.transport is not None:
            server.transport.close()
        return self.to_data

    @contextmanager
    def running(self) -> Iterator["MailServer"]:
        controller = Controller(self, hostname="127.0.0.1", port=self.port)
        controller.start()
        try:
            yield self
        finally:
            self.hang.clear()
            controller.stop()

    def wait_for(self, count: int, *, seconds: float = 10) -> None:
        """Wait until so many mails have come."""
        deadline = time.monotonic() + seconds
        while len(self.envelopes) < count and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(self.envelopes) >= count, f"{len(self.envelopes)} mails came"
