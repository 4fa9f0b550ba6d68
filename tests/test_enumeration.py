"""No response reveals whether an account exists. How long they take is in test_timing.py."""

from typing import Any

import pytest
from quart import Quart, Response
from quart.typing import TestClientProtocol

from support.account_kinds import EMAIL_OF, create_every_kind
from support.actions import PASSWORD, comparable, enter
from support.app import UNLIMITED, both_databases, serving
from support.email_links import UNREACHABLE
from support.frozen_clock import FrozenClock
from support.mail_helpers import mails

# For each flow the e-mails that are sent, and to which kinds of account.
SENT = {
    "/login": {},
    "/register": dict.fromkeys(("unknown", "unconfirmed"), "confirm")
    | dict.fromkeys(("confirmed", "without a password"), "email_taken"),
    "/reset": dict.fromkeys(("confirmed", "unconfirmed", "without a password"), "reset"),
    "/confirm": {"unconfirmed": "confirm"},
    # The link to a reserved e-mail address is of the last request, which withdraws those before.
    "/change-email": {"reserved": "change_email"}
    | dict.fromkeys(("confirmed", "unconfirmed", "without a password"), "email_taken"),
}
INVALID = ({"password": "short"}, {"password": "12345678"}, {"password_confirm": "x"}, {"password": ""})
HTML, JSON = "text/html", "application/json"


@pytest.fixture
def settings(settings: dict[str, Any]) -> dict[str, Any]:
    return settings | {"SECURITY_CONFIRMABLE": True}


async def send(client: TestClientProtocol, path: str, kind: str, accept: str = HTML, **more: Any) -> Response:
    """Send a form with the correct password of the account, unless a login would succeed."""
    password = "wrong horse" if (path, kind) == ("/login", "confirmed") else PASSWORD
    form = {"email": EMAIL_OF[kind], "password": password, "password_confirm": password} | more.pop("form", {})
    return await client.post(path, form=form, headers={"Accept": accept}, **more)


async def seen(client: TestClientProtocol, path: str, kind: str, accept: str = HTML, **more: Any) -> tuple[Any, ...]:
    """Return all that a client sees of a response and of the page that follows, but its own e-mail address."""
    response = await send(client, path, kind, accept, **more)
    parts = [await comparable(response)]
    if response.location:
        parts.append(await comparable(await client.get(response.location)))
    without_email = [str(part).replace(EMAIL_OF[kind], "…") for part in parts]
    return response.status_code, without_email, {cookie.name for cookie in client.cookie_jar or ()}


async def revealing(app: Quart, path: str, accept: str = HTML, **more: Any) -> list[str]:
    """Return the kinds of account whose response differs from that to an unknown e-mail address."""
    user = await enter(app) if path == "/change-email" else None
    found = {kind: await seen(user or app.test_client(), path, kind, accept, **more) for kind in EMAIL_OF}
    return [kind for kind in EMAIL_OF if found[kind] != found["unknown"]]


@both_databases
@pytest.mark.parametrize("path", SENT)
async def test_the_response_reveals_no_account_and_only_the_right_owners_get_an_email(app: Quart, path: str) -> None:
    await create_every_kind(app)
    before = {mail.id for mail in await mails(app)}

    assert await revealing(app, path) == []
    sent = {(mail.recipient, mail.template) for mail in await mails(app) if mail.id not in before}
    assert {pair for pair in sent if pair[1] != "new_login"} == {
        (EMAIL_OF[kind], template) for kind, template in SENT[path].items()
    }
    assert await revealing(app, path, JSON) == []


async def test_an_unreachable_mail_server_makes_no_difference(settings: dict[str, Any]) -> None:
    async with serving(settings | UNREACHABLE) as app:
        await create_every_kind(app)

        assert {path: await revealing(app, path) for path in ("/register", "/reset")} == {"/register": [], "/reset": []}


async def test_an_invalid_registration_reveals_no_account(app: Quart) -> None:
    await create_every_kind(app)

    for form in INVALID:
        assert (await seen(app.test_client(), "/register", "confirmed", form=form))[0] == 422
        assert await revealing(app, "/register", form=form) == []


async def test_a_rate_limit_reveals_no_account(settings: dict[str, Any], frozen_clock: FrozenClock) -> None:
    async with serving(settings) as app:
        await create_every_kind(app)
    async with serving(settings | dict.fromkeys(UNLIMITED, "1 per 10 minutes")) as app:
        for number, path in enumerate(("/login", "/register", "/reset", "/confirm")):
            refused: list[tuple[Any, ...]] = []
            for kind in EMAIL_OF:
                from_here: dict[str, Any] = {"scope_base": {"client": (f"192.0.2.{number * 10 + len(refused)}", 4711)}}
                await send(app.test_client(), path, kind, **from_here)
                refused.append(await seen(app.test_client(), path, kind, **from_here))
            assert refused[0][0] == 429
            assert refused == [refused[0]] * len(EMAIL_OF), path
