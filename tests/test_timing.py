"""No response reveals by its time whether an account exists. What the responses contain is in test_enumeration.py."""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from quart import Quart

from app.app_factory import create_app
from app.services import users
from app.services.client import COMMAND_LINE
from support.account_kinds import EMAIL_OF, create_every_kind
from support.actions import PASSWORD, create_user, enter, log_in, write
from support.app import serving

pytestmark = pytest.mark.slow

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "vectors/flask_security_hashes.json").read_text())
SALT: str = VECTORS["salt"]
OLD_HASHES = {
    row["scheme"]: row["hash"] for row in VECTORS["rows"] if row["scheme"] in ("bcrypt", "pbkdf2_sha512", "argon2")
}
EMAILS = {kind: f"{number:02}@example.com" for number, kind in enumerate(["closed", "unset", "known", *OLD_HASHES])}
UNKNOWN = "99@example.com"


@pytest.fixture(params=["", SALT], ids=["without the salt", "with the salt"])
async def app(request: pytest.FixtureRequest, settings: dict[str, Any]) -> AsyncIterator[Quart]:
    """Start an app that has an account with every kind of hash."""
    app = create_app(settings | {"SECURITY_PASSWORD_SALT": request.param})
    await create_user(app, EMAILS["known"])
    await create_user(app, EMAILS["closed"], active=False)
    await create_user(app, EMAILS["unset"], password=None)
    for scheme, hashed in OLD_HASHES.items():
        await write(app, users.create, email=EMAILS[scheme], password_hash=hashed, client=COMMAND_LINE)
    async with app.test_app():
        yield app


async def seconds_refused(app: Quart, email: str) -> float:
    """Return how long a login takes with a wrong password, or with the right one if the account is closed."""
    since = time.monotonic()
    password = PASSWORD if email == EMAILS["closed"] else "wrong horse"
    assert (await log_in(app.test_client(), email=email, password=password)).status_code == 422
    return time.monotonic() - since


async def test_a_refused_login_takes_as_long_for_every_kind_of_account(app: Quart) -> None:
    rounds = 3 if app.config["SECURITY_PASSWORD_SALT"] else 9
    for _ in range(3):  # the load of other programs passes, and a difference that reveals accounts does not
        ratios = await ratios_to_unknown([UNKNOWN, *EMAILS.values()], partial(seconds_refused, app), rounds=rounds)
        if not (revealing := {email: ratio for email, ratio in ratios.items() if not 0.8 < ratio < 1.25}):
            break

    assert revealing == {}


@pytest.mark.parametrize("path", ["/register", "/reset", "/confirm", "/change-email"])
async def test_a_request_for_an_email_takes_as_long_for_every_kind_of_account(
    settings: dict[str, Any], path: str
) -> None:
    async with serving(settings | {"SECURITY_CONFIRMABLE": True}) as app:
        await create_every_kind(app)
        client = await enter(app) if path == "/change-email" else app.test_client()

        async def seconds(email: str) -> float:
            since = time.monotonic()
            form = {"email": email, "password": PASSWORD, "password_confirm": PASSWORD}
            assert (await client.post(path, form=form)).status_code == 303
            return time.monotonic() - since

        for _ in range(3):
            ratios = await ratios_to_unknown([*EMAIL_OF.values()], seconds, rounds=3)
            if not (revealing := {email: ratio for email, ratio in ratios.items() if not 0.8 < ratio < 1.25}):
                break

    assert revealing == {}


async def ratios_to_unknown(
    emails: list[str], seconds: Callable[[str], Awaitable[float]], *, rounds: int
) -> dict[str, float]:
    """Return the median time for each e-mail address, where that of the first, which is unknown, is 1."""
    times, two_at_once = defaultdict[str, list[float]](list), asyncio.Semaphore(2)

    async def measure(email: str) -> None:
        async with two_at_once:
            times[email].append(await seconds(email))

    for _ in range(rounds):
        await asyncio.gather(*map(measure, emails))
    return {email: median(times[email]) / median(times[emails[0]]) for email in emails}
