"""Tokens in e-mailed links: each does one thing, once, for the reader of the e-mail. To open a link changes nothing."""

import hashlib
import re
import secrets
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from quart import Quart
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.email_links import build_url, verify_token
from app.lib import clock
from app.mail.rendering import RenderedEmail
from app.models.user_token import TokenPurpose
from app.services import account_deletion, credentials, tokens, users
from app.services.client import COMMAND_LINE
from app.services.tokens import InvalidToken
from support.actions import EMAIL, change_password, enter, is_logged_in, page, write
from support.app import SECRET_KEY, both_databases, serving
from support.email_links import (
    MAIL,
    NEW_EMAIL,
    NEW_PASSWORD,
    UNREACHABLE,
    check_refused,
    join,
    mailed_link,
    mailed_links,
    press,
    whole_database,
)
from support.frozen_clock import FrozenClock
from support.mail_helpers import follow, link, mails, rendered_emails
from support.outbox import FACTS, TEMPLATES, post

BOB = "bob@example.com"
LIFETIME = {
    TokenPurpose.CONFIRM: timedelta(days=5),
    TokenPurpose.RESET: timedelta(hours=1),
    TokenPurpose.CHANGE_EMAIL: timedelta(hours=2),
    TokenPurpose.UNDO_EMAIL: timedelta(days=7),
    TokenPurpose.NOT_ME: timedelta(days=7),
}
REQUESTED = (TokenPurpose.CONFIRM, TokenPurpose.RESET, TokenPurpose.CHANGE_EMAIL)
ALERTS = (TokenPurpose.NOT_ME, TokenPurpose.UNDO_EMAIL)
ANOTHER_KEY = "another-key-that-is-long-enough-to-be-a-key"


@pytest.fixture
def settings(settings: dict[str, Any]) -> dict[str, Any]:
    return settings | {"SECURITY_CONFIRMABLE": True}


def urls_in(messages: list[RenderedEmail]) -> set[str]:
    """Return all that can be clicked or copied."""
    found = re.findall(r"https?://[^\s\"<>]+", "".join(message.text + message.html for message in messages))
    return {unescape(url).rstrip(".,") for url in found}


@both_databases
async def test_opening_every_link_of_every_email_changes_nothing_and_consumes_no_token(app: Quart) -> None:
    client, mailed = await join(app), await mailed_links(app)
    for template in set(TEMPLATES) - set(MAIL.values()):
        await post(app, template, facts=FACTS)
    paths = {url.removeprefix(app.config["BASE_URL"]) or "/" for url in urls_in(await rendered_emails(app))}
    before = await whole_database(app)

    assert set(mailed.values()) < paths
    for path in [*paths, *paths]:
        for browser in (app.test_client(), client):
            assert (await browser.get(path)).status_code in (200, 303)
            await browser.head(path)

    assert await whole_database(app) == before


@both_databases
async def test_every_wrong_token_gets_the_same_response_and_changes_nothing(app: Quart) -> None:
    client = await join(app)
    tokens = {purpose: path.split("/")[-1] for purpose, path in (await mailed_links(app)).items()}
    before = await whole_database(app)

    for purpose, token in tokens.items():
        others = [other for other in tokens.values() if other != token]
        wrong = ["", token[:-1], f"{token}x", token.partition(".")[0], *others]
        await check_refused(client, *(f"/{purpose}/{each}" for each in wrong))
        await check_refused(client, f"/{purpose}/{token}x", accept="application/json")
        assert (await client.post(f"/{purpose}/{token}x")).status_code == 404  # without a form

    secret, signature = token.split(".")
    cut = [".", f"{secret}.", signature, f".{signature}", token[:20], token[1:], f"{secret}{signature}"]
    changed = [f"{token}.{token}", token.swapcase(), *(f"{token}{more}" for more in ("%20", "=", "!!!", "%ff"))]
    await check_refused(client, *(f"/{purpose}/{each}" for each in [*cut, *changed]))

    assert await whole_database(app) == before
    assert (await press(client, f"/{purpose}/{token}")).status_code == 303
    await page(client)  # which shows the message
    await check_refused(client, f"/{purpose}/{token}")


async def test_the_database_contains_no_link_that_works(app: Quart) -> None:
    client, paths = await join(app), await mailed_links(app)
    rows = await whole_database(app)

    for purpose, path in paths.items():
        secret, signature = path.split("/")[-1].split(".")
        digest = hashlib.sha256(secret.encode()).hexdigest()
        assert secret in str(rows["mail"])
        assert signature not in str(rows)
        assert secret not in str(rows["user_token"])
        assert digest in str(rows["user_token"])
        await check_refused(client, *(f"/{purpose}/{token}" for token in (secret, digest, f"{secret}.{digest}")))


@both_databases
async def test_a_link_opens_a_page_with_a_button_until_it_expires(app: Quart, frozen_clock: FrozenClock) -> None:
    client, mailed_on, paths = await join(app), clock.now(), await mailed_links(app)

    for lifetime, purpose in sorted((LIFETIME[purpose], purpose) for purpose in paths):
        browser = client if purpose == TokenPurpose.CHANGE_EMAIL else app.test_client()
        frozen_clock.time = mailed_on + lifetime - timedelta(seconds=1)
        assert re.search(r'<form method="post">.*<button>', await page(browser, paths[purpose]), re.DOTALL)
        frozen_clock.time = mailed_on + lifetime
        await check_refused(browser, paths[purpose])


async def test_a_new_password_voids_what_was_requested_and_no_security_alert(app: Quart) -> None:
    client = await join(app)
    for is_operator in (False, True):
        paths = await mailed_links(app)
        if is_operator:
            async with app.app_context():
                await credentials.set_password(EMAIL, NEW_PASSWORD)
            client = await enter(app, password=NEW_PASSWORD)
        else:
            assert (await change_password(client)).status_code == 303
            await page(client)  # which shows the message

        await check_refused(client, *(paths[purpose] for purpose in REQUESTED))
        assert [(await client.get(paths[purpose])).status_code for purpose in ALERTS] == [200, 200]
        assert {mail.purpose for mail in await mails(app)} == set(ALERTS)  # no void link is mailed


async def test_a_new_email_address_voids_all_but_the_link_that_undoes_it(app: Quart) -> None:
    client, paths = await join(app), await mailed_links(app)

    assert (await press(client, paths[TokenPurpose.CHANGE_EMAIL])).status_code == 303
    await page(client)  # which shows the message

    await check_refused(client, *(path for purpose, path in paths.items() if purpose != TokenPurpose.UNDO_EMAIL))
    assert (await press(client, paths[TokenPurpose.UNDO_EMAIL])).status_code == 303


async def test_a_newer_link_voids_the_older_of_its_purpose_and_user_unless_it_is_a_security_alert(app: Quart) -> None:
    client, bob = await join(app), await join(app, BOB)
    bobs, older, newer = await mailed_links(app, of=BOB), await mailed_links(app), await mailed_links(app)

    await check_refused(client, *(older[purpose] for purpose in REQUESTED))
    still = [*newer.values(), *(older[purpose] for purpose in ALERTS)]
    assert [(await client.get(path)).status_code for path in still] == [200] * 7
    assert [(await bob.get(path)).status_code for path in bobs.values()] == [200] * 5


async def test_a_link_to_a_closed_or_deleted_account_is_refused(app: Quart) -> None:
    await join(app)
    paths, other = await mailed_links(app), await join(app, BOB)

    for end in (users.deactivate, account_deletion.delete_by_email):
        await write(app, end, email=EMAIL)
        before = await whole_database(app)
        await check_refused(other, *paths.values())
        assert await whole_database(app) == before


async def test_another_user_cannot_use_a_link_to_a_new_email_address_nor_consume_it(app: Quart) -> None:
    ada, bob = await join(app), await join(app, BOB)
    path = await mailed_link(app, TokenPurpose.CHANGE_EMAIL)

    await check_refused(bob, path)
    for response in (await app.test_client().get(path), await app.test_client().post(path)):
        assert (response.status_code, response.location) == (303, f"/login?next={path}")
    json = await app.test_client().post(path, headers={"Accept": "application/json"})
    assert json.status_code == 401

    assert await follow(ada, path) == 303
    assert NEW_EMAIL in await page(ada, "/account")


async def test_a_link_works_under_a_former_key_and_under_no_other(settings: dict[str, Any]) -> None:
    async with serving(settings) as app:
        await join(app)
        paths = await mailed_links(app)
    async with serving(settings | {"SECRET_KEY": ANOTHER_KEY}) as app:
        await check_refused(await enter(app), *paths.values())
    async with serving(settings | {"SECRET_KEY": ANOTHER_KEY, "SECRET_KEY_FALLBACKS": (SECRET_KEY,)}) as app:
        client = await enter(app)
        assert await link(app, "reset") != paths[TokenPurpose.RESET]  # what is mailed from now on has the new key
        assert [(await client.get(path)).status_code for path in paths.values()] == [200] * 5
        assert (await press(client, paths[TokenPurpose.RESET])).status_code == 303


async def test_a_link_leads_to_the_base_url_whatever_host_the_request_was_for(settings: dict[str, Any]) -> None:
    more = {"BASE_URL": "https://www.example.com", "TRUSTED_HOSTS": ("shop.example.com",), **UNREACHABLE}
    async with serving(settings | more) as app:
        headers = {"Host": "shop.example.com", "X-Forwarded-Host": "evil.example.com"}
        form = {"email": EMAIL, "password": NEW_PASSWORD, "password_confirm": NEW_PASSWORD}
        assert (await app.test_client().post("/register", form=form, headers=headers)).status_code == 303

        found = urls_in(await rendered_emails(app, "confirm"))

    assert {url.split("/")[2] for url in found} == {"www.example.com"}


async def test_no_token_is_logged_or_cached(settings: dict[str, Any], log: pytest.LogCaptureFixture) -> None:
    async with serving(settings | UNREACHABLE) as app:
        client, paths = await join(app), await mailed_links(app)
        wrong = [f"{path}{more}" for path in paths.values() for more in ("x", "/x")]
        responses = [await client.get(path) for path in [*paths.values(), *wrong]]
        responses.append(await press(client, paths[TokenPurpose.NOT_ME]))

    parts = [part for path in paths.values() for part in path.split("/")[-1].split(".")]
    assert all(f"/{purpose}/<token>" in log.text for purpose in TokenPurpose)
    assert [part for part in parts if part in log.text] == []
    assert {response.headers["Cache-Control"] for response in responses} == {"no-store"}
    assert {response.headers["Referrer-Policy"] for response in responses} == {"same-origin"}


async def test_a_link_belongs_to_the_transaction_of_what_it_is_about(app: Quart) -> None:
    client = await join(app)
    before = await whole_database(app)

    async def fail(session: AsyncSession) -> None:
        user = await users.get_by_email(session, email=EMAIL)
        await tokens.send(session, user, TokenPurpose.NOT_ME, "password_changed", client=COMMAND_LINE)
        await session.flush()
        raise tokens.InvalidToken

    with pytest.raises(tokens.InvalidToken):
        await write(app, fail)

    assert await whole_database(app) == before
    assert await is_logged_in(client)


async def test_where_accounts_are_not_recoverable_nothing_leads_to_a_new_password(settings: dict[str, Any]) -> None:
    async with serving(settings) as app:
        await join(app)
        paths = await mailed_links(app)
    async with serving(settings | {"SECURITY_RECOVERABLE": False}) as app:
        client = app.test_client()
        for path in ("/reset", *(paths[purpose] for purpose in (TokenPurpose.RESET, *ALERTS))):
            assert ((await client.get(path)).status_code, (await press(client, path)).status_code) == (404, 404)
        assert 'href="/reset"' not in await page(client, "/login")
        for purpose in ALERTS:
            (message,) = await rendered_emails(app, MAIL[purpose])
            assert message.link is None
            assert f"/{purpose}" not in message.text + message.html
            assert "If this was not you" in message.text
        for changeable, advice in (
            (True, "change your password at http://localhost:5000/change"),
            (False, "contact us"),
        ):
            app.config["SECURITY_CHANGEABLE"] = changeable
            (message,) = await rendered_emails(app, "new_login")
            assert f"If this was not you, {advice}" in message.text


async def test_the_signature_of_a_link_is_valid_for_its_purpose_only(app: Quart) -> None:
    async with app.app_context():
        token = secrets.token_urlsafe(32)
        signed = build_url(TokenPurpose.RESET, token).rpartition("/")[2]
        assert verify_token(signed, purpose=TokenPurpose.RESET) == token
        with pytest.raises(InvalidToken):
            verify_token(signed, purpose=TokenPurpose.CONFIRM)
