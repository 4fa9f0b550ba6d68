"""Add, rename and remove the passkeys of an account."""

from datetime import timedelta
from typing import Any

import pytest
from fido2.cose import ES256, CoseKey
from fido2.utils import websafe_decode, websafe_encode
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import delete, select, update

from app.features.passkeys import passkeys
from app.features.passkeys.ceremonies import Credential
from app.features.passkeys.challenges import Challenge
from app.features.passkeys.errors import PasskeyRefused
from app.features.passkeys.models import Passkey, PasskeyChallenge, PasskeyHandle
from app.features.passkeys.tests.authenticator import (
    FLAG,
    JSON,
    PAGE,
    SEEN,
    Authenticator,
    add,
    added,
    code_of,
    names,
    options_of,
    send,
)
from app.lib import clock
from app.models import User, UserSession
from app.services.client import COMMAND_LINE
from support.actions import at_once, count, create_user, enter, error_beside, execute, page, scalars, write
from support.app import both_databases, serving
from support.email_links import events, join
from support.frozen_clock import FrozenClock
from support.mail_helpers import mails, rendered_emails

BOB = "bob@example.com"
RSA1 = CoseKey.parse({1: 3, 3: -65535, -1: b"\1" * 256, -2: b"\1\0\1"})  # with SHA-1
OFF_CURVE = CoseKey.parse({1: 2, 3: -7, -1: 1, -2: b"\1" * 32, -3: b"\1" * 32})


@both_databases
async def test_a_user_adds_renames_and_removes_passkeys(app: Quart, ada: TestClientProtocol) -> None:
    assert "You have no passkeys yet." in await page(ada, PAGE)
    for name in ("Laptop", " Schlüssel 🔑 "):
        assert (await add(ada, Authenticator(id=name.encode() * 40), name=name)).status_code == 201
    first, second = await scalars(app, select(Passkey.id).order_by(Passkey.id))

    assert (await ada.post(f"{PAGE}/{first}", form={"name": "Work <b>"})).location == PAGE
    assert await names(app) == ["Work <b>", "Schlüssel 🔑"]
    assert "Work &lt;b&gt;" in await page(ada, PAGE)
    assert 'value="Work &lt;b&gt;"' in await page(ada, f"{PAGE}/{first}")
    assert (await ada.post(f"{PAGE}/{second}/remove")).location == PAGE
    assert await names(app) == ["Work <b>"]

    assert [await events(app, event) for event in ("passkey_added", "passkey_removed")] == [2, 1]
    alerts = [mail for mail in await mails(app) if mail.template.startswith("passkey")]
    assert [mail.template for mail in alerts] == ["passkey_added", "passkey_added", "passkey_removed"]
    assert all(mail.purpose == "not-me" for mail in alerts)
    assert "Passkey removed" in await page(ada, "/account/activity")


@both_databases
async def test_the_options_name_a_user_by_a_random_handle(app: Quart, ada: TestClientProtocol) -> None:
    await at_once(ada.post(f"{PAGE}/options", headers=JSON) for _ in range(5))  # one handle
    laptop = await added(ada)
    options = await options_of(ada, PAGE)

    (handle,) = await scalars(app, select(PasskeyHandle.handle))
    assert (options["user"]["id"], len(websafe_decode(handle))) == (handle, 32)
    assert options["rp"]["id"] == "localhost"
    assert options["authenticatorSelection"] == {
        "residentKey": "required",
        "requireResidentKey": True,
        "userVerification": "required",
    }
    known = {"type": "public-key", "id": websafe_encode(laptop.id), "transports": ["internal"]}
    assert options["excludeCredentials"] == [known]
    assert [each["alg"] for each in options["pubKeyCredParams"]] == [-7, -8, -257]


@both_databases
async def test_no_forged_registration_adds_a_passkey(app: Quart, ada: TestClientProtocol) -> None:
    await create_user(app, BOB)
    bob, second = await enter(app, BOB), await enter(app)
    challenges = [await options_of(each, PAGE) for each in (bob, second)]
    forged: list[dict[str, Any]] = [
        *({"challenge": each["challenge"]} for each in challenges),
        {"challenge": (await options_of(ada, "/login/passkey"))["challenge"]},
        {"challenge": websafe_encode(b"x" * 80)},
        {"origin": "https://localhost:5000"},
        {"crossOrigin": True},
        {"type": "webauthn.get"},
        {"rp_id": "example.com"},
        {"flags": FLAG.UP},
        {"flags": FLAG.UV},
        {"flags": SEEN | FLAG.BS},  # backed up, and not eligible for it
        {"cose": RSA1},
        {"cose": OFF_CURVE},
        {"cose": ES256({1: 2, 3: -7, -1: 1, -2: "x", -3: []})},
    ]
    for parts in forged:
        credential = Authenticator().create(await options_of(ada, PAGE), **parts)
        assert (parts, await code_of(await send(ada, PAGE, credential, name="x"))) == (parts, "passkey_refused")
    for id_ in (b"", b"x" * 1024):
        assert await code_of(await add(ada, Authenticator(id=id_))) == "passkey_refused"
    assert await count(app, Passkey) == await count(app, PasskeyChallenge) == 0

    assert (await add(ada, Authenticator(id=b"x" * 1023, count=2**32 - 1))).status_code == 201


@both_databases
async def test_a_response_adds_one_passkey_to_one_account(
    app: Quart, ada: TestClientProtocol, frozen_clock: FrozenClock
) -> None:
    await create_user(app, BOB)
    laptop, late = Authenticator(), await options_of(ada, PAGE)
    credential = laptop.create(await options_of(ada, PAGE))

    assert (await at_once(send(ada, PAGE, credential, name="x") for _ in range(20)))[201] == 1
    assert await code_of(await add(ada, laptop)) == "passkey_taken"
    assert await code_of(await add(await enter(app, BOB), laptop)) == "passkey_taken"
    frozen_clock.forward(timedelta(minutes=5))
    assert await code_of(await send(ada, PAGE, Authenticator().create(late), name="x")) == "challenge_expired"


async def test_a_name_is_one_short_line(app: Quart, ada: TestClientProtocol) -> None:
    await added(ada)
    (id_,) = await scalars(app, select(Passkey.id))
    for name, message in (("", "Enter a name."), ("x" * 51, "This name is too long."), ("a\nb", "This name contains")):
        assert (await error_beside(await ada.post(f"{PAGE}/{id_}", form={"name": name}), "name")).startswith(message)
        response = await add(ada, Authenticator(), name=name)
        assert (await response.get_json())["error"]["message"].startswith(message)
    assert await names(app) == ["Laptop"]


async def test_an_account_has_a_limited_number_of_passkeys(
    app: Quart, ada: TestClientProtocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passkeys, "MAX_PASSKEYS", 2)
    options = [await options_of(ada, PAGE) for _ in range(5)]

    statuses = await at_once(send(ada, PAGE, Authenticator().create(each), name="x") for each in options)
    assert (statuses, await count(app, Passkey)) == ({201: 2, 422: 3}, 2)
    assert "Remove one first." in await page(ada, PAGE)


async def test_every_page_and_change_needs_a_fresh_login_of_the_user(
    app: Quart, ada: TestClientProtocol, frozen_clock: FrozenClock
) -> None:
    await create_user(app, BOB)
    laptop, bob = await added(ada), await enter(app, BOB)
    (id_,) = await scalars(app, select(Passkey.id))
    assert (await bob.get(f"{PAGE}/{id_}")).status_code == 404
    assert (await bob.post(f"{PAGE}/{id_}", form={"name": "x"})).status_code == 404
    await bob.post(f"{PAGE}/{id_}/remove")
    assert await names(app) == ["Laptop"]

    credential = laptop.create(await options_of(ada, PAGE))
    frozen_clock.forward(timedelta(minutes=21))
    for path in (PAGE, f"{PAGE}/{id_}"):
        assert (await ada.get(path)).location == f"/verify?next={path}"
    for path in (f"{PAGE}/{id_}", f"{PAGE}/{id_}/remove"):
        assert (await ada.post(path, form={"name": "x"})).location.startswith("/verify")
    for path in (PAGE, f"{PAGE}/options"):
        assert (await ada.post(path, json={"credential": credential, "name": "x"}, headers=JSON)).status_code == 401
    assert await names(app) == ["Laptop"]


@both_databases
async def test_an_ended_session_adds_no_passkey(app: Quart, ada: TestClientProtocol) -> None:
    (current,) = await scalars(app, select(UserSession))
    challenge = Challenge("n" * 22, clock.now() + timedelta(minutes=5))
    credential = Credential(challenge, b"id", "key", 1, backup_eligible=False, backed_up=False, transports="")
    await execute(app, delete(UserSession))

    with pytest.raises(PasskeyRefused):
        await write(app, passkeys.add, credential, name="x", current=current, client=COMMAND_LINE)


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
            pages = [await page(client, at) for client in (ada, app.test_client()) for at in ("/login", "/account")]
            assert [text for text in (*pages, await page(ada, "/verify")) if "asskey" in text] == []


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
