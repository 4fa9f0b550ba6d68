"""What one account or one IP address can make grow, or make the server compute, has a limit."""

import asyncio
import time
from collections import Counter
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import update

from app.lib.asgi.body_limit import MAX_PIECES
from app.lib.email_address import valid_email
from app.lib.passwords import hasher
from app.lib.passwords.policy import PasswordRefused, check_password
from app.models import User, UserEvent, UserSession
from app.models.user_token import TokenPurpose
from app.services import sessions
from support.actions import PASSWORD, count, create_user, execute, is_logged_in, log_in, register
from support.app import both_databases, serving
from support.email_links import NEW_PASSWORD, mailed_link

ONE_AN_HOUR = "1 per hour"


@both_databases
async def test_an_account_has_a_hundred_sessions_and_loses_the_oldest(
    app: Quart, client: TestClientProtocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MAX_SESSIONS", 3)
    await register(client)
    others = [app.test_client() for _ in range(3)]
    for other in others:
        await log_in(other)

    assert [await is_logged_in(each) for each in (client, *others)] == [False, True, True, True]
    assert await count(app, UserSession) == 3


async def test_ending_no_session_is_no_event(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    for _ in range(3):
        await client.post("/sessions/end-others")

    assert await count(app, UserEvent, UserEvent.event == "other_sessions_ended") == 0


@pytest.mark.parametrize("path", ["/verify", "/change", "/account/delete"])
async def test_every_proof_of_a_password_counts_for_the_ip_address(settings: dict[str, Any], path: str) -> None:
    async with serving(settings | {"RATE_LIMIT_LOGINS_PER_IP": "2 per hour"}) as app:
        clients = [app.test_client() for _ in range(3)]
        for number, client in enumerate(clients):
            await register(client, email=f"ada{number}@example.com")
        form = {"password": PASSWORD, "new_password": NEW_PASSWORD, "new_password_confirm": NEW_PASSWORD}
        statuses = [(await client.post(path, form=form)).status_code for client in clients]

    assert statuses == [303, 303, 429]


@pytest.mark.parametrize("purpose", [TokenPurpose.RESET, TokenPurpose.CONFIRM])
async def test_one_link_makes_the_server_hash_a_few_times_only(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch, purpose: TokenPurpose
) -> None:
    limited = {"SECURITY_CONFIRMABLE": True, "RATE_LIMIT_WRONG_PASSWORDS_PER_ACCOUNT": "5 per 5 minutes"}
    async with serving(settings | limited) as app:
        await create_user(app)
        link = await mailed_link(app, purpose)
        hashed = await hashes_of_simultaneous_requests(app, link, monkeypatch)

    assert 1 <= hashed <= 5


async def hashes_of_simultaneous_requests(app: Quart, link: str, monkeypatch: pytest.MonkeyPatch) -> int:
    hashed = Counter[str]()
    hash_once = hasher.PasswordHasher.hash

    def hash_and_count(*arguments: Any, **named: Any) -> str:
        hashed["new"] += 1
        return hash_once(*arguments, **named)

    monkeypatch.setattr(hasher.PasswordHasher, "hash", hash_and_count)
    form = {"new_password": NEW_PASSWORD, "new_password_confirm": NEW_PASSWORD}
    responses = await asyncio.gather(*(app.test_client().post(link, form=form) for _ in range(20)))

    assert sorted(response.status_code for response in responses).count(303) == 1
    return hashed["new"]


async def test_a_body_in_tiny_chunks_is_refused(client: TestClientProtocol) -> None:
    connection = client.request("/login", method="POST", headers={"Content-Type": "application/x-www-form-urlencoded"})
    async with connection:
        for _ in range(MAX_PIECES + 100):
            await connection.send(b"a")
        await connection.send_complete()
    assert (await connection.as_response()).status_code == 400


async def test_a_request_with_two_lengths_is_refused_and_closed(client: TestClientProtocol) -> None:
    headers = {"Content-Length": "3", "Transfer-Encoding": "chunked"}
    response = await client.post("/login", data=b"a=b", headers=headers)

    assert (response.status_code, response.headers["Connection"]) == (400, "close")


async def test_a_long_password_is_refused_before_it_is_normalized(app: Quart) -> None:
    async with app.app_context():
        started = time.process_time()
        with pytest.raises(PasswordRefused):
            check_password("a" + "\u0301\u0316" * 50_000, email="ada@example.com")
        assert time.process_time() - started < 0.5  # seconds; all of it would take half a minute


def test_an_email_address_shows_no_url_of_an_attacker() -> None:
    for email in ("www.evil.example/login?x@example.com", "a/b@example.com", "a?b@example.com"):
        with pytest.raises(ValueError, match="address"):
            valid_email(email)


async def test_users_who_never_confirmed_are_logged_out_when_confirmation_is_required(settings: dict[str, Any]) -> None:
    async with serving(settings) as app:
        client = app.test_client()
        await register(client)
        assert await is_logged_in(client)
        app.config["SECURITY_CONFIRMABLE"] = True
        assert not await is_logged_in(client)
        await execute(app, update(User).values(confirmed_on=User.created_on))
        assert await is_logged_in(client)
