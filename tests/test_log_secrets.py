"""No secret is logged, wherever a client puts one."""

import json
import logging
import re
import warnings
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import httpx
import pytest
from quart import Quart
from quart.typing import TestClientProtocol

from app.lib import logs
from app.lib.asgi.types import Message, Receive, Scope, Send
from support.actions import change_password, log_in, register
from support.app import SECRET_KEY, serving
from support.commands import logging_restored
from support.log_lines import ADDRESS, FORGED, IP, Log, add_crashing_pages, names_of
from support.server_process import running

PASSWORD, NEW_PASSWORD, WRONG = "recognisable-old-pass", "recognisable-new-pass", "recognisable-wrong-pass"


class BehindProxy:
    """Give every request an IP address that can be recognised, and collect the cookies of all responses."""

    def __init__(self, app: Quart) -> None:
        self.app: Any = app.asgi_app
        self.cookies: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def keep(message: Message) -> None:
            given = [value.decode() for name, value in message.get("headers", ()) if name == b"set-cookie"]
            self.cookies |= {cookie.partition("=")[2].partition(";")[0] for cookie in given} - {""}
            await send(message)

        await self.app({**scope, "client": (IP, 4711)}, receive, keep)


@pytest.fixture
async def app(settings: dict[str, Any]) -> AsyncIterator[Quart]:
    async with serving(settings, add_crashing_pages) as app:
        yield app


async def leave_traces(client: TestClientProtocol, cookies: set[str]) -> None:
    """Do everything that is logged, and put secrets wherever they can be put."""
    me = {"email": ADDRESS, "password": PASSWORD}
    await register(client, **me, next=f"/about?email={ADDRESS}")
    await change_password(client, password=WRONG, new_password=NEW_PASSWORD)
    await change_password(client, password=PASSWORD, new_password=NEW_PASSWORD)
    await client.post("/logout", form=me)
    await log_in(client, email=ADDRESS, password=WRONG)
    await log_in(client, email=ADDRESS, password=NEW_PASSWORD, remember="on")
    await register(client, **me)
    token = max(cookies, key=len)
    cookies |= {token_urlsafe(32), token_urlsafe(64)}  # as long as the token of a session, and of a mailed link
    hidden = [f"/x/{ADDRESS}", f"/{'x/' * 93}y{ADDRESS}", f"/x/{ADDRESS}".replace("@", "%2540")]
    hidden += [f"/x/{cookie}" for cookie in cookies]
    for path in (*hidden, "/login", "/crash", "/no_database"):
        await client.get(f"{path}?next=/&email={ADDRESS}&password={PASSWORD}&token={token}")
    await client.get("/", headers={"Host": ADDRESS, "Referer": f"http://{IP}/{ADDRESS}", "User-Agent": PASSWORD})
    await client.post("/login", form=me, headers={"Origin": f"https://{ADDRESS}", "X-Forwarded-For": IP})
    client.app.config["RATE_LIMIT_LOGINS_PER_IP"] = "1 per hour"
    await log_in(client, email=ADDRESS, password=NEW_PASSWORD)
    await client.post("/logout")


def secrets_in(cookies: set[str]) -> set[str]:
    """Return what must not be logged: of a cookie, also its parts and the text that it signs."""
    parts = {part for cookie in cookies for part in re.split(r"[.~]", cookie) if len(part) > 12}
    texts = {urlsafe_b64decode(part + "==").decode("latin-1").strip('"') for part in parts}
    return cookies | parts | texts | {ADDRESS, "ada.lovelace", IP, PASSWORD, NEW_PASSWORD, WRONG}


@pytest.mark.usefixtures("log_format")
async def test_nothing_secret_is_logged(app: Quart, log: Log) -> None:
    app.asgi_app = proxy = BehindProxy(app)  # type: ignore[method-assign,assignment] # the documented place
    await leave_traces(app.test_client(), proxy.cookies)

    assert len(proxy.cookies) >= 5
    events = {"registered", "password_changed", "logged_in", "authentication_failed", "rate_limited"}
    assert events | {"unhandled_error", "request_rejected"} <= {record.getMessage() for record in log.records}
    secrets = secrets_in(proxy.cookies)
    assert [line for line in log.text.splitlines() if any(secret in line for secret in secrets)] == []


async def test_a_client_is_a_pseudonym_that_only_our_key_can_make(settings: dict[str, Any], log: Log) -> None:
    names: list[str] = []
    for key, ip in [(SECRET_KEY, IP), (SECRET_KEY, IP), (SECRET_KEY, "203.0.113.78"), (SECRET_KEY[::-1], IP)]:
        async with serving(settings | {"SECRET_KEY": key, "RATE_LIMIT_LOGINS_PER_IP": "1 per hour"}) as app:
            for _ in range(2):
                form = {"email": ADDRESS, "password": PASSWORD}
                await app.test_client().post("/login", form=form, scope_base={"client": (ip, 1)})
        names.append(re.findall(r" rate_limited .* client=([0-9a-f]{8}) ", log.text)[-1])

    assert [names.index(name) for name in names] == [0, 0, 2, 3]


def test_a_record_of_a_library_is_one_line_without_email_addresses(
    log_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with logging_restored(), warnings.catch_warnings():
        warnings.simplefilter("always")
        logs.set_up(log_format)
        warnings.warn(f"old\n{FORGED}", stacklevel=1)
        logging.getLogger("a.library").info("%s\n%s\x1b[0m", ADDRESS, FORGED)

    printed = capsys.readouterr().err
    assert names_of(printed.splitlines(), log_format) == ["py.warnings", "a.library"]
    assert ADDRESS not in printed
    assert printed.replace("\n", "").isprintable()


@pytest.mark.programs
def test_with_json_every_line_of_a_real_server_is_an_object(instance: Path) -> None:
    me = {"email": ADDRESS, "password": PASSWORD}
    with running(instance, LOG_FORMAT="json", TRUSTED_PROXIES="1") as server:
        with httpx.Client(base_url=f"http://{server.address}", headers={"X-Forwarded-For": IP}) as browser:
            responses = [
                browser.post("/register", data=me | {"password_confirm": PASSWORD}),
                browser.post("/login", data=me),
                browser.post("/login", data=me | {"password": WRONG}),
                browser.get("/a%0a%1b%E2%80%AE%7F", headers={"User-Agent": ADDRESS}),
                browser.get("/", headers={"Host": "evil.example"}),
            ]
        assert server.end() == 0
        lines = list(map(json.loads, server.log.read_text().splitlines()))

    wanted = ["registered", "logged_in", "authentication_failed", "request_rejected", "request_rejected"]
    for response, event in zip(responses, wanted, strict=True):
        under = [line["event"] for line in lines if line.get("request") == response.headers["X-Request-ID"]]
        assert under == [event, "request"]
    assert {"started", "hypercorn.error", "stopped"} <= {line["event"] for line in lines}
    secrets = secrets_in({value for response in responses for value in response.cookies.values()})
    assert [line for line in lines if any(secret in str(line) for secret in secrets)] == []
