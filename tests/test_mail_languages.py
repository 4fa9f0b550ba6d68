"""In which language an account gets its mails, whoever causes them."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app import languages, letters, mailer
from app.languages import catalogue
from app.letters import Letter
from app.models import Mail, User, clock, db
from app.models.user_token import Purpose
from app.services import accounts, credentials
from conftest import serving
from letters_read import letters_of, link, mails
from people import EMAIL, PASSWORD, change_password, create_user, execute
from test_cli import Commands, commands, environment
from test_mailer import FACTS, TEMPLATES, on_sqlite

__all__ = ["commands", "environment"]  # fixtures

OTHER = "eve@example.com"
FRENCH = {"Accept-Language": "fr"}
GERMAN = {"Accept-Language": "de-AT, de;q=0.9"}
SPOKEN = ("en", "de", "fr")


async def language_of(app: Quart, email: str = EMAIL) -> str | None:
    async def query(session: AsyncSession) -> str | None:
        return await session.scalar(select(User.language).where(User.email == email))

    async with app.app_context():
        return await db.read(query)


async def sign_up(app: Quart, email: str = EMAIL, *, headers: dict[str, str] = GERMAN) -> TestClientProtocol:
    client = app.test_client()
    form = {"email": email, "password": PASSWORD, "password_confirm": PASSWORD}
    assert (await client.post("/register", form=form, headers=headers)).status_code == 303
    return client


async def log_in_again(app: Quart, *, headers: dict[str, str]) -> TestClientProtocol:
    client = app.test_client()
    answer = await client.post("/login", form={"email": EMAIL, "password": PASSWORD}, headers=headers)
    assert answer.status_code == 303
    return client


async def newest(app: Quart, template: str) -> Letter:
    return (await letters_of(app, template))[-1]


def check(letter: Letter, code: str, subject: str) -> None:
    """See that a letter with this English subject is in a language."""
    assert letter.language == code
    assert letter.subject == catalogue(code).gettext(subject)
    assert f'<html lang="{code}">' in letter.html
    assert f"<title>{letter.subject}</title>" in letter.html


# The language of an account


async def test_an_account_has_the_language_in_which_it_was_opened(app: Quart) -> None:
    await sign_up(app)
    await sign_up(app, OTHER, headers=FRENCH)

    assert (await language_of(app), await language_of(app, OTHER)) == ("de", "fr")


async def test_choosing_a_language_is_for_who_is_logged_in_alone(app: Quart) -> None:
    ada, eve = await sign_up(app), await sign_up(app, OTHER)
    stranger, thief = app.test_client(), app.test_client()
    thief.set_cookie("localhost", "auth", "forged")

    for client in (ada, stranger, thief):
        assert (await client.post("/language", form={"language": "fr", "user": "2"})).status_code == 303
    await eve.post("/language", form={"language": "en"}, headers={"Sec-Fetch-Site": "cross-site"})
    await eve.post("/language", form={"language": "es"})

    assert (await language_of(app), await language_of(app, OTHER)) == ("fr", "de")


async def test_who_is_out_chooses_for_nobody(app: Quart) -> None:
    client = await sign_up(app)
    await client.post("/logout")

    await client.post("/language", form={"language": "fr"})

    assert await language_of(app) == "de"


async def test_two_people_choose_at_once_each_for_themselves(app: Quart) -> None:
    people = {f"person{n}@example.com": await sign_up(app, f"person{n}@example.com") for n in range(6)}
    chosen = dict(zip(people, [*SPOKEN, *SPOKEN], strict=True))

    await asyncio.gather(*(people[email].post("/language", form={"language": code}) for email, code in chosen.items()))

    assert {email: await language_of(app, email) for email in people} == chosen


async def test_the_first_log_in_says_which_language_and_the_next_does_not(app: Quart) -> None:
    await create_user(app)
    assert await language_of(app) is None

    await log_in_again(app, headers=GERMAN)
    await log_in_again(app, headers=FRENCH)

    assert await language_of(app) == "de"


async def test_an_account_that_an_administrator_opened_has_no_language_yet(app: Quart, commands: Commands) -> None:
    commands.succeed("users", "create", EMAIL, typed=PASSWORD)
    assert await language_of(app) is None

    await log_in_again(app, headers=FRENCH)

    assert await language_of(app) == "fr"


# Whoever causes a mail


async def test_a_thief_with_a_french_browser_is_reported_to_the_owner_in_german(app: Quart) -> None:
    await sign_up(app)
    thief = await log_in_again(app, headers=FRENCH)
    thief.set_cookie("localhost", "language", "fr")

    await change_password(thief)

    check(await newest(app, "new_log_in"), "de", "A log-in from a new browser")
    check(await newest(app, "password_changed"), "de", "Your password was changed")
    assert "Unbekannter Browser" in (await newest(app, "password_changed")).text


async def test_a_thief_who_chooses_a_language_is_reported_in_it(app: Quart) -> None:
    """The language is the account's; who is logged in may change it, as they may the name."""
    thief = await sign_up(app)
    await thief.post("/language", form={"language": "fr"})

    await change_password(thief)

    check(await newest(app, "password_changed"), "fr", "Your password was changed")


@pytest.mark.parametrize(("known", "expected"), [(None, "fr"), ("de", "de")])
async def test_who_asks_in_french_gets_french_unless_the_language_is_known(
    app: Quart, known: str | None, expected: str
) -> None:
    await create_user(app)
    await execute(app, update(User).values(language=known))

    await app.test_client().post("/reset", form={"email": EMAIL}, headers=FRENCH)

    letter = await newest(app, "reset")
    check(letter, expected, "Choose a new password")
    assert f">{catalogue(expected).gettext('Choose a new password')}</a>" in letter.html
    assert letter.link in letter.text.split("\n\n")


async def test_who_registers_an_address_that_is_taken_causes_a_mail_in_its_owners_language(
    settings: dict[str, Any],
) -> None:
    async with serving(settings | {"SECURITY_CONFIRMABLE": True}) as app:
        await sign_up(app)
        check(await newest(app, "confirm"), "de", "Confirm your address")
        await execute(app, update(User).values(confirmed_on=clock.now()))
        await sign_up(app, headers=FRENCH)
        check(await newest(app, "address_taken"), "de", "You have an account already")


async def test_an_address_that_changes_is_told_to_both_in_the_accounts_language(app: Quart) -> None:
    client = await sign_up(app)
    await client.post("/change-email", form={"email": OTHER}, headers=FRENCH)
    check(await newest(app, "change_email"), "de", "Confirm your new address")
    await client.post(await link(app, "change_email"), headers=FRENCH)

    check(await newest(app, "email_changed"), "de", "The address of your account was changed")
    await app.test_client().post(await link(app, "email_changed"), headers=FRENCH)
    check(await newest(app, "reset"), "de", "Choose a new password")


async def test_the_farewell_is_in_the_accounts_language_at_every_address(app: Quart) -> None:
    client = await sign_up(app)
    await client.post("/change-email", form={"email": OTHER})
    await client.post(await link(app, "change_email"))
    await client.post("/account/delete", form={"password": PASSWORD}, headers=FRENCH)

    found = await letters_of(app)
    assert {mail.recipient for mail in await mails(app)} == {EMAIL, OTHER}
    for letter in found:
        check(letter, "de", "Your account is deleted")


@pytest.mark.parametrize(("known", "expected"), [(None, "fr"), ("de", "de"), ("en", "en")])
async def test_what_an_administrator_does_is_told_in_the_accounts_or_the_sites_language(
    settings: dict[str, Any], known: str | None, expected: str
) -> None:
    async with serving(settings | {"LANGUAGES": ("fr", "en", "de")}) as app:
        await create_user(app)
        await execute(app, update(User).values(language=known))
        async with app.app_context():
            await db.write(credentials.set_password, email=EMAIL, password_hash="-")
            await db.write(accounts.delete_by_email, email=EMAIL)

        check(await newest(app, "account_deleted"), expected, "Your account is deleted")


async def test_a_mail_waits_in_the_language_that_it_was_caused_in(app: Quart) -> None:
    client = await sign_up(app)
    await app.test_client().post("/reset", form={"email": EMAIL})
    await client.post("/language", form={"language": "fr"})

    check(await newest(app, "reset"), "de", "Choose a new password")


async def test_writing_a_mail_leaves_the_language_of_the_page_alone(app: Quart) -> None:
    await sign_up(app)
    await app.test_client().post("/reset", form={"email": EMAIL})
    answer = await app.test_client().get("/dev/mailbox", headers=FRENCH, scope_base={"client": ("127.0.0.1", 1)})
    text = await answer.get_data(as_text=True)

    assert '<html lang="fr">' in text
    assert '<pre class="letter" lang="de">' in text
    assert catalogue("de").gettext("Choose a new password") in text
    assert catalogue("fr").gettext("Open its link") in text


# What cannot be said in a language


def mail_in(code: str | None, template: str = "password_changed", **more: Any) -> Mail:
    made: dict[str, Any] = {"id": 1, "recipient": EMAIL, "facts": FACTS, "created_on": clock.now(), "purpose": "not-me"}
    return Mail(template=template, language=code, **made | {"secret": "a-secret"} | more)


async def written(app: Quart, mail: Mail) -> Letter:
    async with app.app_context():
        return await letters.write(mail)


@on_sqlite
@pytest.mark.parametrize("code", [None, "fr", "es", "", "../../etc", "x" * 20])
async def test_a_language_that_is_not_spoken_any_more_is_the_sites_first(
    settings: dict[str, Any], code: str | None
) -> None:
    async with serving(settings | {"LANGUAGES": ("de", "en")}) as app:
        check(await written(app, mail_in(code)), "de", "Your password was changed")
        text = await (await app.test_client().get("/")).get_data(as_text=True)
    assert '<html lang="de">' in text


@pytest.fixture
def no_catalogues(tmp_path: Path) -> Iterator[Path]:
    """Return a folder without catalogues; afterwards they are read again."""
    yield tmp_path / "none"
    catalogue.cache_clear()


@on_sqlite
async def test_a_catalogue_that_is_gone_leaves_a_mail_in_english(
    app: Quart, no_catalogues: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(languages, "FOLDER", no_catalogues)
    catalogue.cache_clear()

    check(await written(app, mail_in("de")), "en", "Your password was changed")


async def test_a_mail_from_before_there_were_languages_is_delivered(app: Quart) -> None:
    await sign_up(app)
    await app.test_client().post("/reset", form={"email": EMAIL})
    await execute(app, update(Mail).values(language=None, due_on=clock.now()))
    async with app.app_context():
        await mailer.deliver_some()

    check(await newest(app, "reset"), "en", "Choose a new password")
    assert [mail.error for mail in await mails(app)] == [None]


# What a mail server is given


@on_sqlite
@pytest.mark.parametrize("code", SPOKEN)
@pytest.mark.parametrize("template", TEMPLATES)
async def test_a_subject_of_any_letters_is_one_ascii_header(app: Quart, template: str, code: str) -> None:
    app.config["MAIL_DEFAULT_SENDER"] = "Größe <site@example.com>"
    async with app.app_context():
        letter = await letters.write(mail := mail_in(code, template, purpose=Purpose.NOT_ME))
        message = letters.envelope(mail, letter)

    head, _, _ = message.as_bytes().partition(b"\n\n")
    assert head.isascii()
    assert max(map(len, head.split(b"\n"))) <= 78
    assert message["Subject"] == letter.subject
    assert 5 < len(letter.subject) < 60
    plain, html = (message.get_body((kind,)) for kind in ("plain", "html"))
    assert plain is not None
    assert html is not None
    assert plain.get_content() == letter.text
    assert f'<html lang="{code}">' in html.get_content()


@on_sqlite
async def test_french_keeps_its_spaces_in_a_mail(app: Quart) -> None:
    letter = await written(app, mail_in("fr", "new_log_in"))

    assert re.search("[\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}][;:!?]", letter.text)
    assert not re.search("(?<!--) [;:!?]", letter.text)
    assert not re.search(r"\n(?!\n)(?!https?://)", letter.text.split("\n\n-- ")[0].replace("\n\n", ""))


@on_sqlite
async def test_a_moment_in_a_mail_is_written_in_its_language_and_in_utc(app: Quart) -> None:
    said = {code: (await written(app, mail_in(code))).text for code in SPOKEN}

    assert "on Jan 2, 2030, 3:04\N{NARROW NO-BREAK SPACE}AM UTC" in said["en"]
    assert "02.01.2030, 03:04 UTC" in said["de"]
    assert "2 janv. 2030, 03:04 UTC" in said["fr"]
