"""An SMTP server for the tests, which accepts e-mails and misbehaves as told."""

import asyncio
import logging
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from support.mariadb_server import free_port
from support.server_process import TIMEOUT_SECONDS

OK = "250 OK"

logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd runs in the process of the site


@dataclass
class MailServer:
    """Reply to each step as told, late or never."""

    port: int = field(default_factory=free_port)
    to_sender: str = OK
    to_recipient: str = OK
    to_data: str = OK
    hang: threading.Event = field(default_factory=threading.Event)  # set: never reply to DATA
    hangs: threading.Event = field(default_factory=threading.Event)  # set by the server: a client waits for that reply
    gone_after_data: bool = False  # accept the e-mail, and hang up without a reply
    gone_at_quit: bool = False  # accept the e-mail, and hang up at QUIT
    login: tuple[str, str] | None = None  # name and password that it requires
    certificate: Path | None = None  # a folder with key.pem and cert.pem: STARTTLS is offered
    wrapped: bool = False  # TLS from the first byte, in place of STARTTLS
    passwords: list[str] = field(default_factory=list)  # that it received, right or wrong
    envelopes: list[Envelope] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)  # whether each of these came over TLS

    @property
    def messages(self) -> list[EmailMessage]:
        return [message_from_bytes(taken.original_content or b"", policy=policy.default) for taken in self.envelopes]

    def text(self) -> str:
        """Return the latest e-mail as text."""
        part = self.messages[-1].get_body(("plain",))
        assert part is not None
        return str(part.get_content()).replace("\r\n", "\n")

    @property
    def settings(self) -> dict[str, Any]:
        """Return the settings with which a site finds it."""
        sender = "Example Site <site@example.com>"
        return {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": str(self.port), "MAIL_DEFAULT_SENDER": sender}

    async def handle_MAIL(self, _server: SMTP, session: Session, envelope: Envelope, address: str, *_: Any) -> str:  # noqa: N802
        if self.login and not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        return self.to_sender

    async def handle_RCPT(self, _server: SMTP, _session: Session, envelope: Envelope, address: str, *_: Any) -> str:  # noqa: N802
        if self.to_recipient == OK:
            envelope.rcpt_tos.append(address)
        return self.to_recipient

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        while self.hang.is_set():
            self.hangs.set()
            time.sleep(0.05)  # noqa: ASYNC251 # the server has a thread of its own, and is to hang
        if self.to_data == OK:
            self.encrypted.append(session.ssl is not None or self.wrapped)
            self.envelopes.append(envelope)
        if self.gone_after_data and server.transport is not None:
            server.transport.close()
        return self.to_data

    async def handle_QUIT(self, server: SMTP, _session: Session, _envelope: Envelope) -> str:  # noqa: N802
        if self.gone_at_quit and server.transport is not None:
            server.transport.close()
        return "221 Bye"

    def check_login(self, *arguments: Any) -> AuthResult:
        shown: LoginPassword = arguments[-1]
        name, password = shown.login.decode(), shown.password.decode()
        self.passwords.append(password)
        return AuthResult(success=(name, password) == self.login, handled=False)

    @contextmanager
    def running(self) -> Iterator["MailServer"]:
        options: dict[str, Any] = {"enable_SMTPUTF8": False}  # as many servers still are
        if self.login:
            options |= {"authenticator": self.check_login, "auth_require_tls": False}
        if self.certificate:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(self.certificate / "cert.pem", self.certificate / "key.pem")
            options |= {"ssl_context": context} if self.wrapped else {"tls_context": context}
        controller = Controller(self, hostname="127.0.0.1", port=self.port, **options)
        controller.start()
        try:
            yield self
        finally:
            self.hang.clear()
            controller.stop()

    def wait_for(self, count: int = 1) -> None:
        """Wait until so many e-mails have arrived."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while len(self.envelopes) < count:
            assert time.monotonic() < deadline, f"{len(self.envelopes)} e-mails arrived"
            time.sleep(0.02)

    async def arrival(self) -> None:
        await asyncio.to_thread(self.wait_for)


def make_certificate(folder: Path) -> Path:
    """Make a self-signed certificate for localhost, and return the file that a client must trust."""
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *files, *name]
    subprocess.run(command, check=True, capture_output=True)
    (folder / "both.pem").write_text((folder / "cert.pem").read_text() + (folder / "key.pem").read_text())
    return folder / "cert.pem"
