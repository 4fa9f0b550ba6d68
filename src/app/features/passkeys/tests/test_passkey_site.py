"""What passkeys add to the other pages, the alerts and the routes of the site."""

from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import select, update

from app.features.passkeys.models import Passkey
from app.features.passkeys.tests.authenticator import PAGE, added, options_of, send
from app.models import User
from support.actions import create_user, enter, execute, page, scalars
from support.app import serving
from support.email_links import join
from support.mail_helpers import rendered_emails


@pytest.mark.parametrize("is_recoverable", [True, False])
@pytest.mark.parametrize("language", ["en", "de", "fr"])
async def test_every_security_alert_links_to_the_next_step(
    three_languages: dict[str, Any], *, language: str, is_recoverable: bool
) -> None:
    async with serving(three_languages | {"SECURITY_RECOVERABLE": is_recoverable}) as app:
        await app.extensions["mail_worker"].stop()
        ada = await join(app)
        await execute(app, update(User).values(language=language))
        device = await added(ada, count=5)
        await send(ada, "/login/passkey", device.get(await options_of(ada, "/login/passkey"), count=1))
        (id_,) = await scalars(app, select(Passkey.id))
        await ada.post(f"{PAGE}/{id_}/remove")

        for template in ("passkey_added", "passkey_copied", "passkey_removed"):
            (mail,) = await rendered_emails(app, template)
            assert ("/not-me/" in mail.text) is is_recoverable
            assert "http://localhost:5000" in mail.text.split("-- ")[0]
            assert mail.language == language


async def test_a_site_without_the_feature_has_no_route_and_no_link(settings: dict[str, Any]) -> None:
    base_urls = ("http://localhost:5000", "https://192.0.2.1", "http://www.example.com")
    for number, url in enumerate(base_urls):
        more: dict[str, Any] = {"BASE_URL": url} | ({} if number else {"FEATURES": ()})
        async with serving(settings | {"TRUSTED_HOSTS": ("localhost",)} | more) as app:
            await create_user(app, f"ada-{number}@example.com")
            ada = await enter(app, f"ada-{number}@example.com")
            for path in (PAGE, "/.well-known/passkey-endpoints", f"{PAGE}/static/passkeys.js"):
                assert (await ada.get(path)).status_code == 404
            for path in ("/login/passkey", "/verify/passkey", f"{PAGE}/options"):
                assert (await ada.post(path)).status_code in (404, 405)
            visits = [(ada, "/verify"), (ada, "/account"), (app.test_client(), "/login")]
            responses = [await client.get(path) for client, path in visits]
            assert [response.status_code for response in responses] == [200] * 3
            assert [response for response in responses if "asskey" in await response.get_data(as_text=True)] == []


async def test_pages_at_an_ip_address_link_to_the_host_of_the_site(app: Quart, ada: TestClientProtocol) -> None:
    for path in ("/login", PAGE):
        client = ada if path == PAGE else app.test_client()
        here, there = [
            await (await client.get(path, headers={"Host": host})).get_data(as_text=True)
            for host in ("localhost:5000", "127.0.0.1:5000")
        ]
        assert ("passkeys.js" in here, "passkeys.js" in there) == (True, False)
        assert f'open <a href="http://localhost:5000{path}">' in there
    response = await app.test_client().get("/.well-known/passkey-endpoints")
    assert await response.get_json() == dict.fromkeys(("enroll", "manage"), f"http://localhost:5000{PAGE}")


async def test_browsers_cache_the_script_until_it_changes(client: TestClientProtocol) -> None:
    src = (await page(client, "/login")).split(f'src="{PAGE}/static')[1].split('"')[0]
    response = await client.get(f"{PAGE}/static{src}")

    assert (response.status_code, "?v=" in src) == (200, True)
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert "Cookie" not in response.headers["Vary"]
