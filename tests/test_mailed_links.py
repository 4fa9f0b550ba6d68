"""Tokens in e-mailed links: each does one thing, once, for the reader of the e-mail. To open a link changes nothing."""

import hashlib
import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from app.lib import clock
from app.lib.db import db
from app.models import User
from app.models.user_token import TokenPurpose
from app.services import account_deletion, credentials, outbox, tokens, users
from app.services.client import COMMAND_LINE
from support.actions import EMAIL, change_password, enter, execute, is_logged_in, page, register
from support.app import ROOT, SECRET_KEY, both_databases, serving
from support.email_links import (
    MAIL,
    NEW_EMAIL,
    NEW_PASSWORD,
    UNREACHABLE,
    check_refused,
    events,
    join,
    mailed_link,
    press,
    whole_database,
)
from support.frozen_clock import FrozenClock
from support.mail_helpers import follow, link, mails, rendered_emails

EVENT = {
    TokenPurpose.CONFIRM: "email_confirmed",
    TokenPurpose.RESET: "password_reset",
    TokenPurpose.CHANGE_EMAIL: "email_changed",
    TokenPurpose.UNDO_EMAIL: "email_change_reverted",
    TokenPurpose.NOT_ME: "compromise_reported",
}
LIFETIME = {
    TokenPurpose.CONFIRM: timedelta(days=5),
    TokenPurpose.RESET: timedelta(hours=1),
    TokenPurpose.CHANGE_EMAIL: timedelta(hours=2),
    TokenPurpose.UNDO_EMAIL: timedelta(days=7),
    TokenPurpose.NOT_ME: timedelta(days=7),
}
REQUESTED = (TokenPurpose.CONFIRM, TokenPurpose.RESET, TokenPurpose.CHANGE_EMAIL)
ANOTHER_KEY = "another-key-that-is-long-enough-to-be-a-key"


@pytest.fixture
def settings(settings: dict[str, Any]) -> dict[str, Any]:
    return settings | {"SECURITY_CONFIRMABLE": True}


@both_databases
async def test_opening_every_link_of_every_email_changes_nothing_and_consumes_no_token(app: Quart) -> None:
    browsers = await have_every_mail_sent(app)
    paths = await paths_in_mails(app)
    before = await whole_database(app)

    for _ in range(2):
        for browser in (app.test_client(), *browsers):
            for path in paths:
                assert (await browser.get(path)).status_code in (200, 303, 404)
                await browser.head(path)
                await browser.options(path)

    assert await whole_database(app) == before


async def have_every_mail_sent(app: Quart) -> list[TestClientProtocol]:
    """Do everything that sends an e-mail; return the browsers in which it was done."""
    ada, bob, cyd, dan, eve = [await join(app, f"{name}@example.com") for name in ("ada", "bob", "cyd", "dan", "eve")]
    await register(app.test_client(), email="new@example.com")  # confirm
    await register(app.test_client())  # address_taken
    await change_password(ada)
    await app.test_client().post("/reset", form={"email": "bob@example.com"})
    await cyd.post("/change-email", form={"email": "cyd-new@example.com"})
    await dan.post("/change-email", form={"email": "dan-new@example.com"})
    assert (await dan.post(await link(app, "change_email", to="dan-new@example.com"))).status_code == 303
    await eve.post("/account/delete", form={"password": "correct horse battery staple"})

    async def post_the_others(session: AsyncSession) -> None:
        user = await users.get_by_email(session, email="bob@example.com")
        await outbox.enqueue(session, "welcome", user, client=COMMAND_LINE)
        await outbox.enqueue(session, "test", user, client=COMMAND_LINE)

    async with app.app_context():
        await db.write(post_the_others)
    written = {path.stem for path in (ROOT / "src/app/templates/emails").glob("*.txt")}
    assert {mail.template for mail in await mails(app)} == written
    return [ada, bob, cyd, dan]


async def paths_in_mails(app: Quart) -> list[str]:
    """Return the paths of all that can be clicked or copied, links of every purpose among them."""
    site = app.config["BASE_URL"]
    found = {url for message in await rendered_emails(app) for url in urls_in(message.text + message.html)}
    assert all(url.startswith(site) for url in found)
    paths = sorted(url.removeprefix(site) or "/" for url in found)
    assert {path.split("/")[1] for path in paths if path.count("/") == 2} == set(TokenPurpose)
    return paths


def urls_in(text: str) -> list[str]:
    return [unescape(url).rstrip(".,") for url in re.findall(r"https?://[^\s\"<>]+", text)]


@both_databases
async def test_a_link_works_once_and_only_when_its_button_is_pressed(app: Quart) -> None:
    for purpose in TokenPurpose:
        client = await join(app)
        path = await mailed_link(app, purpose)

        opened = await client.get(path)
        before = await events(app, EVENT[purpose])
        pressed = await press(client, path)

        assert (opened.status_code, pressed.status_code) == (200, 303)
        assert re.search(r'<form method="post">.*<button>', await opened.get_data(as_text=True), re.DOTALL)
        assert await events(app, EVENT[purpose]) == before + 1
        await page(client)  # which shows the message
        await check_refused(client, path)
        await execute(app, delete(User))


@both_databases
async def test_every_wrong_token_gets_the_same_response_and_changes_nothing(app: Quart) -> None:
    client = await join(app)
    tokens = {purpose: (await mailed_link(app, purpose)).split("/")[-1] for purpose in TokenPurpose}
    before = await whole_database(app)

    for purpose, token in tokens.items():
        secret, signature = token.split(".")
        cut = ["", ".", secret, f"{secret}.", signature, f".{signature}", token[:-1], token[:20], token[1:]]
        changed = [f"{token}x", f"{token}.{token}", f"{secret}{signature}", token.swapcase()]
        added = [f"{token}{more}" for more in ("%20", "=", "!!!", "%ff")]
        others = [other for other in tokens.values() if other != token]
        await check_refused(client, *(f"/{purpose}/{wrong}" for wrong in [*cut, *changed, *added, *others]))
        await check_refused(client, f"/{purpose}/", f"/{purpose}/{token}x", accept="application/json")
        assert (await client.post(f"/{purpose}/{token}x")).status_code == 404  # without a form

    assert await whole_database(app) == before
    assert (await press(client, f"/{purpose}/{token}")).status_code == 303


async def test_the_database_contains_no_link_that_works(app: Quart) -> None:
    client = await join(app)
    tokens = {purpose: (await mailed_link(app, purpose)).split("/")[-1] for purpose in TokenPurpose}
    rows = await whole_database(app)

    for purpose, (secret, signature) in ((purpose, token.split(".")) for purpose, token in tokens.items()):
        digest = hashlib.sha256(secret.encode()).hexdigest()
        assert secret in str(rows["mail"])
        assert signature not in str(rows)
        assert secret not in str(rows["user_token"])
        assert digest in str(rows["user_token"])
        await check_refused(client, *(f"/{purpose}/{token}" for token in (secret, digest, f"{secret}.{digest}")))


@both_databases
async def test_a_link_works_until_it_expires(app: Quart, frozen_clock: FrozenClock) -> None:
    client, mailed_on = await join(app), clock.now()
    paths = {purpose: await mailed_link(app, purpose) for purpose in TokenPurpose}
    await whole_database(app)

    for lifetime, purpose in sorted((LIFETIME[purpose], purpose) for purpose in paths):
        browser = client if purpose == TokenPurpose.CHANGE_EMAIL else app.test_client()
        frozen_clock.time = mailed_on + lifetime - timedelta(seconds=1)
        assert (await browser.get(paths[purpose])).status_code == 200
        frozen_clock.time = mailed_on + lifetime
        before = await whole_database(app)
        await check_refused(browser, paths[purpose])
        assert await whole_database(app) == before


async def test_a_new_password_voids_what_was_requested_and_no_security_alert(app: Quart) -> None:
    client = await join(app)
    for by_operator in (False, True):
        paths = {purpose: await mailed_link(app, purpose) for purpose in TokenPurpose}
        if by_operator:
            async with app.app_context():
                await credentials.set_password(EMAIL, NEW_PASSWORD)
            client = await enter(app, password=NEW_PASSWORD)
        else:
            assert (await change_password(client)).status_code == 303
            await page(client)  # which shows the message

        await check_refused(client, *(paths[purpose] for purpose in REQUESTED))
        still = [paths[purpose] for purpose in (TokenPurpose.NOT_ME, TokenPurpose.UNDO_EMAIL)]
        assert [(await client.get(path)).status_code for path in still] == [200, 200]
    assert (await press(app.test_client(), paths[TokenPurpose.NOT_ME])).status_code == 303


async def test_a_new_email_address_voids_all_but_the_link_that_undoes_it(app: Quart) -> None:
    client = await join(app)
    paths = {purpose: await mailed_link(app, purpose) for purpose in TokenPurpose}

    assert (await press(client, paths[TokenPurpose.CHANGE_EMAIL])).status_code == 303
    await page(client)  # which shows the message

    await check_refused(client, *(path for purpose, path in paths.items() if purpose != TokenPurpose.UNDO_EMAIL))
    assert (await press(client, paths[TokenPurpose.UNDO_EMAIL])).status_code == 303


async def test_a_newer_link_voids_the_older_of_its_purpose_and_user_unless_it_is_a_security_alert(app: Quart) -> None:
    client, bob = await join(app), await join(app, "bob@example.com")
    bobs = [await mailed_link(app, purpose, of="bob@example.com") for purpose in TokenPurpose]
    older = {purpose: await mailed_link(app, purpose) for purpose in TokenPurpose}

    newer = []
    for purpose in TokenPurpose:
        newer.append(await mailed_link(app, purpose))
        others = [path for other, path in older.items() if other not in list(TokenPurpose)[: len(newer)]]
        assert {(await client.get(path)).status_code for path in others} <= {200}

    await check_refused(client, *(older[purpose] for purpose in REQUESTED))
    still = [*newer, older[TokenPurpose.NOT_ME], older[TokenPurpose.UNDO_EMAIL]]
    assert [(await client.get(path)).status_code for path in still] == [200] * 7
    assert [(await bob.get(path)).status_code for path in bobs] == [200] * 5


async def test_a_void_link_that_waits_in_the_outbox_is_not_mailed(settings: dict[str, Any]) -> None:
    async with serving(settings | UNREACHABLE) as app:
        client = await join(app)
        waiting = [await mailed_link(app, purpose) for purpose in TokenPurpose]
        await change_password(client)

        left = {(message.link or "").removeprefix(app.config["BASE_URL"]) for message in await rendered_emails(app)}

    assert [path for path in waiting if path in left] == waiting[3:]


async def test_a_link_to_a_closed_or_deleted_account_is_refused(app: Quart) -> None:
    await join(app)
    paths = [await mailed_link(app, purpose) for purpose in TokenPurpose]
    other = await join(app, "bob@example.com")

    for end in (users.deactivate, account_deletion.delete_by_email):
        async with app.app_context():
            await db.write(end, email=EMAIL)
        before = await whole_database(app)
        await check_refused(other, *paths)
        assert await whole_database(app) == before


async def test_another_user_cannot_use_a_link_to_a_new_email_address_nor_consume_it(app: Quart) -> None:
    ada, bob = await join(app), await join(app, "bob@example.com")
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
        paths = {purpose: await mailed_link(app, purpose) for purpose in TokenPurpose}
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

        (message,) = await rendered_emails(app, "confirm")

    assert {url.split("/")[2] for url in urls_in(message.text + message.html)} == {"www.example.com"}


async def test_no_token_is_logged_or_cached(settings: dict[str, Any], log: pytest.LogCaptureFixture) -> None:
    async with serving(settings | UNREACHABLE) as app:
        client = await join(app)
        paths = {purpose: await mailed_link(app, purpose) for purpose in TokenPurpose}
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

    async def fails(session: AsyncSession) -> None:
        user = await users.get_by_email(session, email=EMAIL)
        await tokens.send(session, user, TokenPurpose.NOT_ME, "password_changed", client=COMMAND_LINE)
        raise tokens.InvalidToken

    async with app.app_context():
        with pytest.raises(tokens.InvalidToken):
            await db.write(fails)

    assert await whole_database(app) == before
    assert await is_logged_in(client)


async def test_a_security_alert_has_no_link_where_accounts_are_not_recoverable(settings: dict[str, Any]) -> None:
    alerts = (TokenPurpose.NOT_ME, TokenPurpose.UNDO_EMAIL)
    async with serving(settings) as app:
        await join(app)
        paths = [await mailed_link(app, purpose) for purpose in alerts]
    async with serving(settings | {"SECURITY_RECOVERABLE": False}) as app:
        client = app.test_client()
        for purpose, path in zip(alerts, paths, strict=True):
            message = (await rendered_emails(app, MAIL[purpose]))[-1]
            assert message.link is None
            assert f"/{purpose}" not in message.text + message.html
            assert "If this was not you" in message.text
            assert ((await client.get(path)).status_code, (await press(client, path)).status_code) == (404, 404)
