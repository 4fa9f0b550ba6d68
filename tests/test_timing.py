"""A refused log-in tells nobody whether there is an account: not by what it says, and not by how long it takes."""

import asyncio
import json
import re
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import pytest
from quart import Quart, Response

from app.app_factory import create_app
from app.services import accounts
from people import PASSWORD, create_user, write

pytestmark = pytest.mark.slow

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "vectors/flask_security_hashes.json").read_text())
SALT: str = VECTORS["salt"]
OLD_HASHES = {
    row["scheme"]: row["hash"] for row in VECTORS["rows"] if row["scheme"] in ("bcrypt", "pbkdf2_sha512", "argon2")
}
# All e-mail addresses have the same length, so that Content-Length is the same.
EMAILS = {kind: f"{number:02}@example.com" for number, kind in enumerate(["closed", "unset", "known", *OLD_HASHES])}
UNKNOWN = "99@example.com"


@pytest.fixture
def database_uri(sqlite_template: Path, tmp_path: Path) -> str:
    """Return one database: it is the hashing that takes the time."""
    (tmp_path / "app.db").write_bytes(sqlite_template.read_bytes())
    return "sqlite:///app.db"


@pytest.fixture(params=["", SALT], ids=["without the salt", "with the salt"])
async def app(request: pytest.FixtureRequest, settings: dict[str, Any]) -> AsyncIterator[Quart]:
    """Serve a site, just started, that has an account of every kind."""
    app = create_app(settings | {"SECURITY_PASSWORD_SALT": request.param})
    await create_user(app, EMAILS["known"])
    await create_user(app, EMAILS["closed"], active=False)
    await create_user(app, EMAILS["unset"], password=None)
    for scheme, hashed in OLD_HASHES.items():
        await write(app, accounts.register, email=EMAILS[scheme], password_hash=hashed)
    async with app.test_app():
        yield app


class Refused(NamedTuple):
    response: Response
    seconds: float


async def refused(app: Quart, email: str, **headers: str) -> Refused:
    """Be refused: with a wrong password, or even with the right one, as the account is closed."""
    since = time.monotonic()
    password = PASSWORD if email == EMAILS["closed"] else "wrong horse"
    form = {"email": email, "password": password}
    response = await app.test_client().post("/login", form=form, headers=headers)
    assert response.status_code == 422
    return Refused(response, time.monotonic() - since)


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
async def test_a_refusal_says_the_same_whoever_is_refused(app: Quart, accept: str) -> None:
    emails = [UNKNOWN, *EMAILS.values()]

    answers = [await refused(app, email, accept=accept) for email in emails]

    stranger, *others = [await what_is_said(*pair) for pair in zip(answers, emails, strict=True)]
    assert others == [stranger] * len(EMAILS)


async def what_is_said(answer: Refused, email: str) -> tuple[str, list[tuple[str, str]]]:
    """Return an answer without the address that was typed, its number and its time."""
    body = (await answer.response.get_data(as_text=True)).replace(email, "")
    body = re.sub(r'<code>\w+</code>|"request_id":"\w+"', "", body)
    return body, sorted(
        pair for pair in answer.response.headers.items() if pair[0].lower() not in ("x-request-id", "date")
    )


async def test_a_refusal_takes_as_long_whoever_is_refused(app: Quart) -> None:
    for _ in range(3):  # what others do on this machine passes, and what gives people away does not
        ratios = await times_beside_a_stranger(app)
        if not (given_away := {kind: ratio for kind, ratio in ratios.items() if not 0.8 < ratio < 1.25}):
            break

    assert given_away == {}


async def times_beside_a_stranger(app: Quart) -> dict[str, float]:
    """Return how long the refusal of each kind takes, where that of a stranger takes 1."""
    rounds, turn = 3 if app.config["SECURITY_PASSWORD_SALT"] else 9, asyncio.Semaphore(2)
    seconds = defaultdict[str, list[float]](list)

    async def measure(email: str) -> None:
        async with turn:
            seconds[email].append((await refused(app, email)).seconds)

    for _ in range(rounds):
        await asyncio.gather(*map(measure, [UNKNOWN, *EMAILS.values()]))
    return {kind: median(seconds[email]) / median(seconds[UNKNOWN]) for kind, email in EMAILS.items()}
