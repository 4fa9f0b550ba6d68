"""The language of an account, in which it gets its e-mails, whichever client causes them."""

from typing import Any

from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import select, update

from app.lib.i18n.catalogs import catalog
from app.models import User
from app.services import account_deletion, credentials
from support.actions import EMAIL, PASSWORD, change_password, create_user, execute, scalars, write
from support.app import serving
from support.mail_helpers import link, mails, rendered_emails

OTHER = "eve@example.com"
FRENCH = {"Accept-Language": "fr"}
GERMAN = {"Accept-Language": "de-AT, de;q=0.9"}


async def languages(app: Quart) -> list[str | None]:
    return await scalars(app, select(User.language).order_by(User.id))


async def open_browser(
    app: Quart, path: str = "/register", *, email: str = EMAIL, headers: dict[str, str] = GERMAN
) -> TestClientProtocol:
    """Return a browser that has registered or logged in with a language."""
    client = app.test_client()
    form = {"email": email, "password": PASSWORD, "password_confirm": PASSWORD}
    assert (await client.post(path, form=form, headers=headers)).status_code == 303
    return client


async def check(app: Quart, template: str, code: str, subject: str) -> None:
    """See that the newest e-mail of a kind, with this English subject, is in a language."""
    message = (await rendered_emails(app, template))[-1]
    assert message.language == code
    assert message.subject == catalog(code).gettext(subject)
    assert f'<html lang="{code}">' in message.html


async def test_an_account_has_the_language_of_its_registration_or_else_of_its_first_login(app: Quart) -> None:
    await create_user(app)
    assert await languages(app) == [None]  # as on the command line

    await open_browser(app, "/login", headers=GERMAN)
    await open_browser(app, "/login", headers=FRENCH)
    await open_browser(app, email=OTHER, headers=FRENCH)

    assert await languages(app) == ["de", "fr"]


async def test_only_a_session_changes_the_language_and_only_that_of_its_own_account(app: Quart) -> None:
    ada, eve = await open_browser(app), await open_browser(app, email=OTHER)
    anonymous, attacker, logged_out = app.test_client(), app.test_client(), await open_browser(app, "/login")
    attacker.set_cookie("localhost", "auth", "forged")
    await logged_out.post("/logout")

    for client in (anonymous, attacker, logged_out):
        assert (await client.post("/language", form={"language": "fr", "user": "2"})).status_code == 303
    await eve.post("/language", form={"language": "en"}, headers={"Sec-Fetch-Site": "cross-site"})
    await eve.post("/language", form={"language": "es"})
    assert await languages(app) == ["de", "de"]

    await ada.post("/language", form={"language": "fr", "user": "2"})
    assert await languages(app) == ["fr", "de"]


async def test_an_attacker_with_a_french_browser_is_reported_in_the_language_of_the_account(app: Quart) -> None:
    await open_browser(app)
    attacker = await open_browser(app, "/login", headers=FRENCH)
    attacker.set_cookie("localhost", "language", "fr")

    await change_password(attacker)

    await check(app, "new_login", "de", "New login to your account")
    await check(app, "password_changed", "de", "Your password was changed")
    assert "Unbekannter Browser" in (await rendered_emails(app, "password_changed"))[-1].text


async def test_a_reset_is_in_the_language_of_the_account_or_else_of_the_request(app: Quart) -> None:
    client = await open_browser(app)
    for known, expected in ((None, "fr"), ("de", "de")):
        await execute(app, update(User).values(language=known))
        await app.test_client().post("/reset", form={"email": EMAIL}, headers=FRENCH)
        await client.post("/language", form={"language": "en"})  # too late for this e-mail

        await check(app, "reset", expected, "Reset your password")
        message = (await rendered_emails(app, "reset"))[-1]
        assert f">{catalog(expected).gettext('Choose a new password')}</a>" in message.html


async def test_a_change_of_the_email_address_and_a_deletion_are_reported_in_the_accounts_language(app: Quart) -> None:
    client = await open_browser(app)
    await client.post("/change-email", form={"email": OTHER}, headers=FRENCH)
    await check(app, "change_email", "de", "Confirm your new e-mail address")
    await client.post(await link(app, "change_email"), headers=FRENCH)
    await check(app, "email_changed", "de", "Your e-mail address was changed")

    await client.post("/account/delete", form={"password": PASSWORD}, headers=FRENCH)
    assert {mail.recipient for mail in await mails(app)} == {EMAIL, OTHER}
    assert {message.language for message in await rendered_emails(app)} == {"de"}


async def test_a_change_at_the_command_line_is_reported_in_the_accounts_or_the_sites_language(
    settings: dict[str, Any],
) -> None:
    async with serving(settings | {"LANGUAGES": ("fr", "en", "de")}) as app:
        for known, expected in ((None, "fr"), ("de", "de"), ("en", "en")):
            await create_user(app)
            await execute(app, update(User).values(language=known))
            async with app.app_context():
                await credentials.set_password(EMAIL, "another correct horse")
            await check(app, "password_changed", expected, "Your password was changed")
            await write(app, account_deletion.delete_by_email, email=EMAIL)
            await check(app, "account_deleted", expected, "Your account was deleted")


async def test_an_email_in_the_mailbox_leaves_the_language_of_the_page_alone(app: Quart) -> None:
    await open_browser(app)
    await app.test_client().post("/reset", form={"email": EMAIL})
    response = await app.test_client().get("/dev/mailbox", headers=FRENCH, scope_base={"client": ("127.0.0.1", 1)})
    text = await response.get_data(as_text=True)

    assert '<html lang="fr">' in text
    assert '<pre class="email" lang="de">' in text
    assert catalog("de").gettext("Reset your password") in text
    assert catalog("fr").gettext("Open the link") in text
