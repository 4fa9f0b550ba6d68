"""Links in mails: each does one thing, once, for whoever can read the mail. To open one changes nothing."""

import asyncio
import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Awaitable, Iterable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from quart import Quart, Response
from quart.typing import TestClientProtocol
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app import mailer
from app.middleware import mailed_links
from app.models import Mail, UserEvent, clock, db
from app.models.base import Base
from app.models.user_token import Purpose
from app.services import accounts, credentials, links, notices, outbox
from app.services.activity import Origin
from app.services.passwords import hash_password
from conftest import ROOT, SECRET_KEY, serving
from letters_read import letters_of, link, mails
from people import (
    EMAIL,
    PASSWORD,
    change_password,
    cookie_of,
    create_user,
    is_logged_in,
    log_in,
    page,
    register,
    thief_with,
)
from test_sessions import MovedClock, moved_clock

__all__ = ["moved_clock"]  # a fixture

NEW_PASSWORD = "a new horse battery staple"
TYPED = {"new_password": NEW_PASSWORD, "new_password_confirm": NEW_PASSWORD}
NEW_EMAIL = "new-ada@example.com"
FORMER_EMAIL = "former-ada@example.com"
SENT_TO = {Purpose.CHANGE_EMAIL: NEW_EMAIL, Purpose.UNDO_EMAIL: FORMER_EMAIL}
MAIL = {
    Purpose.CONFIRM: "confirm",
    Purpose.RESET: "reset",
    Purpose.CHANGE_EMAIL: "change_email",
    Purpose.UNDO_EMAIL: "email_changed",
    Purpose.NOT_ME: "password_changed",
}
EVENT = {
    Purpose.CONFIRM: "confirmed",
    Purpose.RESET: "password_changed",
    Purpose.CHANGE_EMAIL: "email_changed",
    Purpose.UNDO_EMAIL: "email_change_undone",
    Purpose.NOT_ME: "disowned",
}
LIFETIME = {
    Purpose.CONFIRM: timedelta(days=5),
    Purpose.RESET: timedelta(hours=1),
    Purpose.CHANGE_EMAIL: timedelta(hours=2),
    Purpose.UNDO_EMAIL: timedelta(days=7),
    Purpose.NOT_ME: timedelta(days=7),
}
NO_ALARMS = (Purpose.CONFIRM, Purpose.RESET, Purpose.CHANGE_EMAIL)
ANOTHER_KEY = "the-key-of-somebody-else-is-long-enough-to-be-a-key"
UNREACHABLE = {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": 1, "MAIL_DEFAULT_SENDER": "site@example.com"}

on_sqlite = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
of_every_kind = pytest.mark.parametrize("purpose", list(Purpose))


@pytest.fixture
def settings(settings: dict[str, Any]) -> dict[str, Any]:
    return settings | {"SECURITY_CONFIRMABLE": True}


async def join(app: Quart, email: str = EMAIL) -> TestClientProtocol:
    """Return the browser of a person who has an account with a confirmed address, logged in."""
    await create_user(app, email)
    async with app.app_context():
        await db.write(accounts.confirm, email=email)
    client = app.test_client()
    assert (await log_in(client, email=email)).status_code == 303
    return client


async def mailed_link(app: Quart, purpose: Purpose, *, of: str = EMAIL) -> str:
    """Have a link mailed to a person, and return its path."""

    async def unit(session: AsyncSession) -> None:
        user = await accounts.get_by_email(session, email=of)
        facts = notices.circumstances(Origin("", "")) | {"new_email": "thief@example.com"}
        await links.mail(session, user, purpose, MAIL[purpose], email=SENT_TO.get(purpose), facts=facts)

    async with app.app_context():
        await db.write(unit)
    return await link(app, MAIL[purpose])


async def press(client: TestClientProtocol, path: str) -> Response:
    """Send the form of the page that a link leads to."""
    return await client.post(path, form=TYPED)


async def works(client: TestClientProtocol, path: str) -> bool:
    """Open a link and press its button; either both work or none does."""
    opened, pressed = await client.get(path), await press(client, path)
    assert (opened.status_code, pressed.status_code) in ((200, 303), (404, 404))
    return pressed.status_code == 303


async def whole_database(app: Quart) -> dict[str, list[str]]:
    """Return every row of every table, once the outbox has come to rest."""

    async def query(session: AsyncSession) -> dict[str, list[str]]:
        tables = Base.metadata.sorted_tables
        return {table.name: sorted(map(repr, await session.execute(select(table)))) for table in tables}

    async with asyncio.timeout(10), app.app_context():
        while any(is_under_way(mail) for mail in await mails(app)):
            await mailer.deliver_some()
    async with app.app_context():
        return await db.read(query)


def is_under_way(mail: Mail) -> bool:
    """Say whether a mail is due, or claimed by who has not said what came of it."""
    now = clock.now()
    return mail.due_on is not None and mail.expires_on > now and (mail.due_on <= now or mail.tries > 0)


async def said(answer: Response) -> tuple[int, str, list[tuple[str, str]]]:
    """Return all of an answer that is not made for it alone: no request id, no time, no contents of cookies."""
    text = re.sub(r'<code>\w+</code>|"request_id":"\w+"', "", await answer.get_data(as_text=True))
    headers = [(name.lower(), value) for name, value in answer.headers.items()]
    headers = [(name, re.sub("=[^;]*", "", value, count=1) if "cookie" in name else value) for name, value in headers]
    return answer.status_code, text, sorted(pair for pair in headers if pair[0] not in ("x-request-id", "date"))


async def check_refused(client: TestClientProtocol, *paths: str, accept: str = "text/html") -> None:
    """See that links are answered like one that was never ours, opened or pressed."""
    headers = {"Accept": accept}
    neutral = await said(await client.get("/reset/never-ours", headers=headers))
    assert neutral[0] == 404
    assert "This link does not work" in neutral[1]
    for path in paths:
        assert await said(await client.get(path, headers=headers)) == neutral, path
        assert await said(await client.post(path, form=TYPED, headers=headers)) == neutral, path


async def at_once(answers: Iterable[Awaitable[Response]]) -> Counter[int]:
    return Counter(answer.status_code for answer in await asyncio.gather(*answers))


async def events(app: Quart, event: str) -> int:
    """Return how often something was written down as having happened."""

    async def query(session: AsyncSession) -> int:
        return await session.scalar(select(func.count()).where(UserEvent.event == event)) or 0

    async with app.app_context():
        return await db.read(query)


async def test_opening_every_link_of_every_mail_twice_changes_nothing_and_uses_none_up(app: Quart) -> None:
    browsers = await have_every_mail_sent(app)
    addresses = await addresses_in_mails(app)
    before = await whole_database(app)

    for _ in range(2):
        for browser in (app.test_client(), *browsers):
            for path in addresses:
                assert (await browser.get(path)).status_code in (200, 303, 404)
                await browser.head(path)
                await browser.options(path)

    assert await whole_database(app) == before


async def have_every_mail_sent(app: Quart) -> list[TestClientProtocol]:
    """Live through everything of which a mail tells; return the browsers of those who did."""
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
        user = await accounts.get_by_email(session, email="bob@example.com")
        await outbox.post(session, "welcome", user)
        await outbox.post(session, "test", user)

    async with app.app_context():
        await db.write(post_the_others)
    written = {path.stem for path in (ROOT / "src/app/templates/mails").glob("*.txt")}
    assert {mail.template for mail in await mails(app)} == written
    return [ada, bob, cyd, dan]


async def addresses_in_mails(app: Quart) -> list[str]:
    """Return the paths of all that can be clicked or copied, links of every kind among them."""
    site = app.config["BASE_URL"]
    found = {address for letter in await letters_of(app) for address in addresses_in(letter.text + letter.html)}
    assert all(address.startswith(site) for address in found)
    paths = sorted(address.removeprefix(site) or "/" for address in found)
    assert {path.split("/")[1] for path in paths if path.count("/") == 2} == set(Purpose)
    return paths


def addresses_in(text: str) -> list[str]:
    return [unescape(address).rstrip(".,") for address in re.findall(r"https?://[^\s\"<>]+", text)]


@of_every_kind
async def test_a_link_works_once_and_only_when_its_button_is_pressed(app: Quart, purpose: Purpose) -> None:
    client = await join(app)
    path = await mailed_link(app, purpose)

    opened = await client.get(path)
    before = await events(app, EVENT[purpose])
    pressed = await press(client, path)

    assert (opened.status_code, pressed.status_code) == (200, 303)
    assert re.search(r'<form method="post">.*<button>', await opened.get_data(as_text=True), re.DOTALL)
    assert await events(app, EVENT[purpose]) == before + 1
    await page(client)  # which tells what was done
    await check_refused(client, path)


@of_every_kind
async def test_of_many_who_press_one_button_at_once_one_wins(app: Quart, purpose: Purpose) -> None:
    client = await join(app)
    path = await mailed_link(app, purpose)
    before = await events(app, EVENT[purpose])

    statuses = await at_once(press(thief_with(app, cookie_of(client)), path) for _ in range(6))

    assert statuses == {303: 1, 404: 5}
    assert await events(app, EVENT[purpose]) == before + 1


async def test_every_wrong_token_gets_the_same_page_and_changes_nothing(app: Quart) -> None:
    client = await join(app)
    tokens = {purpose: (await mailed_link(app, purpose)).split("/")[-1] for purpose in Purpose}
    before = await whole_database(app)

    for purpose, token in tokens.items():
        secret, signature = token.split(".")
        cut = ["", ".", secret, f"{secret}.", signature, f".{signature}", token[:-1], token[:20], token[1:]]
        changed = [f"{token}x", f"{token}.{token}", f"{secret}{signature}", token.swapcase()]
        others = [other for other in tokens.values() if other != token]
        await check_refused(client, *(f"/{purpose}/{wrong}" for wrong in [*cut, *changed, *others]))

    assert await whole_database(app) == before
    assert await works(client, f"/{purpose}/{token}")


@on_sqlite
async def test_a_token_to_which_something_was_added_is_none(app: Quart) -> None:
    client = await join(app)

    for purpose in Purpose:
        path = await mailed_link(app, purpose)
        await check_refused(client, *(f"{path}{added}" for added in ("%20", "=", "!!!", "%ff")))


@on_sqlite
async def test_programs_and_empty_forms_are_refused_alike_too(app: Quart) -> None:
    client = await join(app)

    for purpose in Purpose:
        path = await mailed_link(app, purpose)
        await check_refused(client, f"/{purpose}/", path[:-1], f"{path}x", accept="application/json")
        assert (await client.post(f"{path}x")).status_code == 404
        assert await said(await client.post(f"{path}x")) == await said(await client.get(f"{path}x"))


async def test_what_stands_in_the_database_makes_no_link(app: Quart) -> None:
    client = await join(app)
    tokens = {purpose: (await mailed_link(app, purpose)).split("/")[-1] for purpose in Purpose}
    rows = await whole_database(app)

    for purpose, (secret, signature) in ((purpose, token.split(".")) for purpose, token in tokens.items()):
        digest = hashlib.sha256(secret.encode()).hexdigest()
        assert secret in str(rows["mail"])
        assert signature not in str(rows)
        assert secret not in str(rows["user_token"])
        assert digest in str(rows["user_token"])
        await check_refused(client, *(f"/{purpose}/{token}" for token in (secret, digest, f"{secret}.{digest}")))


@on_sqlite
async def test_a_secret_that_is_signed_for_another_purpose_opens_nothing(app: Quart) -> None:
    client = await join(app)
    secrets = {purpose: (await mailed_link(app, purpose)).split("/")[-1].split(".")[0] for purpose in Purpose}
    before = await whole_database(app)

    for other, (purpose, secret) in itertools.product(Purpose, secrets.items()):
        if other != purpose:
            async with app.app_context():
                token = mailed_links.url_of(other, secret).split("/")[-1]
            await check_refused(client, f"/{other}/{token}", f"/{purpose}/{token}")

    assert await whole_database(app) == before


async def test_a_link_works_until_its_time_is_over(app: Quart, moved_clock: MovedClock) -> None:
    client, mailed_on = await join(app), clock.now()
    paths = {purpose: await mailed_link(app, purpose) for purpose in Purpose}
    await whole_database(app)

    for lifetime, purpose in sorted((LIFETIME[purpose], purpose) for purpose in paths):
        browser = client if purpose == Purpose.CHANGE_EMAIL else app.test_client()
        moved_clock.time = mailed_on + lifetime - timedelta(seconds=1)
        assert (await browser.get(paths[purpose])).status_code == 200
        moved_clock.time = mailed_on + lifetime
        before = await whole_database(app)
        await check_refused(browser, paths[purpose])
        assert await whole_database(app) == before


async def test_a_change_of_the_password_makes_void_what_was_asked_for_and_no_alarm(app: Quart) -> None:
    client = await join(app)
    paths = {purpose: await mailed_link(app, purpose) for purpose in Purpose}

    assert (await change_password(client)).status_code == 303
    await page(client)  # which tells so

    await check_refused(client, *(paths[purpose] for purpose in NO_ALARMS))
    assert await works(app.test_client(), paths[Purpose.NOT_ME])
    assert await works(app.test_client(), paths[Purpose.UNDO_EMAIL])


@on_sqlite
async def test_a_password_that_is_set_at_the_command_line_makes_void_the_same(app: Quart) -> None:
    await join(app)
    paths = {purpose: await mailed_link(app, purpose) for purpose in Purpose}

    async with app.app_context():
        await db.write(credentials.set_password, email=EMAIL, password_hash=await hash_password(PASSWORD))

    client = await newly_logged_in(app)
    await check_refused(client, *(paths[purpose] for purpose in NO_ALARMS))
    assert await works(client, paths[Purpose.NOT_ME])


async def test_a_change_of_the_address_makes_void_all_but_the_way_back(app: Quart) -> None:
    client = await join(app)
    paths = {purpose: await mailed_link(app, purpose) for purpose in Purpose}

    assert (await press(client, paths[Purpose.CHANGE_EMAIL])).status_code == 303
    await page(client)  # which tells so

    await check_refused(client, *(path for purpose, path in paths.items() if purpose != Purpose.UNDO_EMAIL))
    assert await works(client, paths[Purpose.UNDO_EMAIL])


async def test_a_newer_link_makes_void_the_older_unless_it_raises_an_alarm(app: Quart) -> None:
    client = await join(app)
    older = {purpose: await mailed_link(app, purpose) for purpose in Purpose}
    newer = {purpose: await mailed_link(app, purpose) for purpose in Purpose}

    await check_refused(client, *(older[purpose] for purpose in NO_ALARMS))
    still = [*newer.values(), older[Purpose.NOT_ME], older[Purpose.UNDO_EMAIL]]
    assert [(await client.get(path)).status_code for path in still] == [200] * 7


@on_sqlite
async def test_a_newer_link_leaves_those_of_other_kinds_and_other_people_alone(app: Quart) -> None:
    ada, bob = await join(app), await join(app, "bob@example.com")
    his = [await mailed_link(app, purpose, of="bob@example.com") for purpose in Purpose]

    for newer in Purpose:
        hers = [await mailed_link(app, purpose) for purpose in Purpose if purpose != newer]
        await mailed_link(app, newer)
        assert [(await ada.get(path)).status_code for path in hers] == [200] * 4
    await change_password(ada)

    assert [(await bob.get(path)).status_code for path in his] == [200] * 5


@on_sqlite
async def test_a_link_that_was_not_mailed_yet_and_is_void_is_not_mailed(settings: dict[str, Any]) -> None:
    async with serving(settings | UNREACHABLE) as app:
        client = await join(app)
        waiting = [await mailed_link(app, purpose) for purpose in Purpose]
        await change_password(client)

        left = {(letter.link or "").removeprefix(app.config["BASE_URL"]) for letter in await letters_of(app)}

    assert [path for path in waiting if path in left] == waiting[3:]


async def test_a_link_to_a_closed_or_deleted_account_works_no_more(app: Quart) -> None:
    await join(app)
    paths = [await mailed_link(app, purpose) for purpose in Purpose]
    other = await join(app, "bob@example.com")

    for end in (accounts.deactivate, accounts.delete_by_email):
        async with app.app_context():
            await db.write(end, email=EMAIL)
        before = await whole_database(app)
        await check_refused(other, *paths)
        assert await whole_database(app) == before


async def test_another_person_cannot_use_a_link_to_a_new_address_and_does_not_use_it_up(app: Quart) -> None:
    ada, bob = await join(app), await join(app, "bob@example.com")
    path = await mailed_link(app, Purpose.CHANGE_EMAIL)

    await check_refused(bob, path)
    assert (await app.test_client().get(path)).location == f"/login?next={path}"

    assert await works(ada, path)
    assert NEW_EMAIL in await page(ada, "/account")


@on_sqlite
async def test_a_link_of_another_key_is_void_and_one_of_a_former_key_works(settings: dict[str, Any]) -> None:
    async with serving(settings) as app:
        await join(app)
        paths = {purpose: await mailed_link(app, purpose) for purpose in Purpose}
    async with serving(settings | {"SECRET_KEY": ANOTHER_KEY}) as app:
        await check_refused(await newly_logged_in(app), *paths.values())
    async with serving(settings | {"SECRET_KEY": ANOTHER_KEY, "SECRET_KEY_FALLBACKS": (SECRET_KEY,)}) as app:
        client = await newly_logged_in(app)
        assert await link(app, "reset") != paths[Purpose.RESET]  # what is mailed from now on has the new key
        assert [(await client.get(path)).status_code for path in paths.values()] == [200] * 5
        assert await works(client, paths[Purpose.RESET])


async def newly_logged_in(app: Quart) -> TestClientProtocol:
    client = app.test_client()
    assert (await log_in(client)).status_code == 303
    return client


@on_sqlite
async def test_a_link_leads_to_the_public_address_whatever_host_was_asked(settings: dict[str, Any]) -> None:
    more = {"BASE_URL": "https://www.example.com", "TRUSTED_HOSTS": ("shop.example.com",), **UNREACHABLE}
    async with serving(settings | more) as app:
        headers = {"Host": "shop.example.com", "X-Forwarded-Host": "evil.example.com"}
        form = {"email": EMAIL, "password": NEW_PASSWORD, "password_confirm": NEW_PASSWORD}
        assert (await app.test_client().post("/register", form=form, headers=headers)).status_code == 303

        (letter,) = await letters_of(app, "confirm")

    assert {address.split("/")[2] for address in addresses_in(letter.text + letter.html)} == {"www.example.com"}


@on_sqlite
async def test_no_token_gets_into_the_log_or_into_a_cache(
    settings: dict[str, Any], log: pytest.LogCaptureFixture
) -> None:
    async with serving(settings | UNREACHABLE) as app:
        client = await join(app)
        paths = {purpose: await mailed_link(app, purpose) for purpose in Purpose}
        wrong = [f"{path}{more}" for path in paths.values() for more in ("x", "/x")]
        answers = [await client.get(path) for path in [*paths.values(), *wrong]]
        answers.append(await press(client, paths[Purpose.NOT_ME]))

    parts = [part for path in paths.values() for part in path.split("/")[-1].split(".")]
    assert all(f"/{purpose}/<token>" in log.text for purpose in Purpose)
    assert [part for part in parts if part in log.text] == []
    assert {answer.headers["Cache-Control"] for answer in answers} == {"no-store"}
    assert {answer.headers["Referrer-Policy"] for answer in answers} == {"same-origin"}


@pytest.mark.parametrize("purpose", [Purpose.NOT_ME, Purpose.UNDO_EMAIL])
@on_sqlite
async def test_an_alarm_has_no_link_where_nobody_can_get_an_account_back(
    settings: dict[str, Any], purpose: Purpose
) -> None:
    async with serving(settings) as app:
        await join(app)
        path = await mailed_link(app, purpose)
    async with serving(settings | {"SECURITY_RECOVERABLE": False}) as app:
        letter = (await letters_of(app, MAIL[purpose]))[-1]
        client = app.test_client()
        statuses = [(await client.get(path)).status_code, (await press(client, path)).status_code]

    assert letter.link is None
    assert f"/{purpose}" not in letter.text + letter.html
    assert "If it was not you" in letter.text
    assert statuses == [404, 404]


async def test_a_link_is_not_mailed_when_what_it_belongs_to_was_not_done(app: Quart) -> None:
    client = await join(app)
    before = await whole_database(app)

    async def fails(session: AsyncSession) -> None:
        user = await accounts.get_by_email(session, email=EMAIL)
        await links.mail(session, user, Purpose.NOT_ME, "password_changed")
        raise links.InvalidLink

    async with app.app_context():
        with pytest.raises(links.InvalidLink):
            await db.write(fails)

    assert await whole_database(app) == before
    assert await is_logged_in(client)
