"""The phone number of a user. Delete this file with it: docs/how-to/remove-a-part.md."""

import asyncio
import json
from pathlib import Path
from typing import Any

from quart import Quart, Response
from quart.typing import TestClientProtocol
from sqlalchemy import select

from app.models import User
from support.account_page import value_in
from support.actions import at_once, create_user, enter, error_beside, page, register, scalars
from support.app import DEFAULTS, both_databases, serving
from support.commands import ADA, CommandLine
from support.email_links import join

BOB = "bob@example.com"
PHONE = "+49301234567"
NUMBERS = json.loads((Path(__file__).parent / "vectors/phone_numbers.json").read_text())
SPELLINGS: list[str] = NUMBERS["spellings_of_one"]
NO_COUNTRY_CODE = "Include the country code, like +49 30 1234567."
REFUSED = dict.fromkeys(NUMBERS["refused"], NO_COUNTRY_CODE) | {"+4930" + " " * 30 + "1": "This number is too long."}
TAKEN = "Another account uses this phone number."
BLANKS = ["", "   ", "\t", "\N{NO-BREAK SPACE}"]
LIMITS = {key: DEFAULTS[key] for key in DEFAULTS if "PHONE" in key}


async def save(client: TestClientProtocol, phone: str = "", name: str = "") -> Response:
    return await client.post("/account", form={"name": name, "phone": phone})


async def stored(app: Quart) -> list[str | None]:
    return await scalars(app, select(User.phone).order_by(User.id))


@both_databases
async def test_a_number_is_one_in_every_spelling_and_belongs_to_one_account(
    app: Quart, client: TestClientProtocol
) -> None:
    await register(client)
    await create_user(app, BOB)
    bob = await enter(app, BOB)

    for spelling in (*SPELLINGS, "\t+49301234567\n"):
        await save(client)
        await save(client, spelling)
        assert await stored(app) == [PHONE, None], spelling
        assert await error_beside(await save(bob, spelling), "phone") == TAKEN, spelling

    assert (await save(client, SPELLINGS[3])).status_code == 303  # it is the user's own
    await save(client)
    assert (await save(bob, PHONE)).status_code == 303
    assert (await save(client)).status_code == 303  # many accounts may have no number


async def test_a_user_saves_a_number_and_empties_it_again(app: Quart, client: TestClientProtocol) -> None:
    await register(client)

    for blank in BLANKS:
        await save(client, "+49 30 1234567")
        assert await value_in(client, "phone") == PHONE
        await save(client, blank)
        assert await stored(app) == [None], repr(blank)
    assert 'autocomplete="tel"' in await page(client, "/account")
    activity = await page(client, "/account/activity")
    assert activity.count("Phone number changed") == 2 * len(BLANKS)


async def test_an_unsuitable_number_is_refused_beside_its_field(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    await save(client, PHONE)

    assert {phone: await error_beside(await save(client, phone), "phone") for phone in REFUSED} == REFUSED
    assert await stored(app) == [PHONE]


async def test_a_number_that_was_typed_outlives_the_session(app: Quart) -> None:
    ada = await join(app)
    owner = (await page(ada, "/account")).split('name="owner" value="')[1].split('"')[0]
    await ada.post("/logout")
    await ada.post("/account", form={"phone": PHONE, "owner": owner})
    await ada.post("/login", form={"email": ADA, "password": "correct horse battery staple"})

    assert await value_in(ada, "phone") == PHONE
    assert await stored(app) == [None]  # nothing is saved by itself


async def test_support_sees_the_number(client: TestClientProtocol, command_line: CommandLine) -> None:
    await register(client)
    await save(client, PHONE)

    assert f"phone:    {PHONE}" in await asyncio.to_thread(command_line.succeed, "users", "show", ADA)


@both_databases
async def test_of_simultaneous_requests_for_a_number_one_succeeds(app: Quart) -> None:
    browsers = [await join(app, f"user{number}@example.com") for number in range(len(SPELLINGS))]

    requests = [save(browser, phone) for browser, phone in zip(browsers, SPELLINGS, strict=True)]

    assert await at_once(requests) == {303: 1, 422: len(SPELLINGS) - 1}
    assert len([phone for phone in await stored(app) if phone]) == 1


@both_databases
async def test_two_users_who_exchange_phone_numbers_at_once_get_neither(app: Quart) -> None:
    ada, bob = await join(app), await join(app, BOB)
    await save(ada, "+49300000001")
    await save(bob, "+49300000002")

    assert await at_once([save(ada, "+49300000002"), save(bob, "+49300000001")]) == {422: 2}
    assert await stored(app) == ["+49300000001", "+49300000002"]


async def test_a_number_is_counted_when_it_changes_also_if_it_is_taken(settings: dict[str, Any]) -> None:
    assert LIMITS == {
        "RATE_LIMIT_PHONE_CHANGES_PER_IP": "20 per hour",
        "RATE_LIMIT_PHONE_CHANGES_PER_ACCOUNT": "10 per hour",
    }
    async with serving(settings | LIMITS) as app:
        ada, bob = await join(app), await join(app, BOB)
        await save(ada, "+493000002000")
        numbers = (*range(1001, 1010), 2000, 1010)
        statuses = [(await save(bob, f"+49300000{number}")).status_code for number in numbers]

        assert statuses == [*[303] * 9, 422, 429]
        names = [(await save(bob, "+493000001009", f"Bob {number}")).status_code for number in range(12)]
        assert (set(names), (await save(bob, "nonsense")).status_code) == ({303}, 422)
        assert (await save(ada, "+493000001010")).status_code == 303  # each account has its own count


async def test_numbers_are_tried_a_few_times_from_one_ip_address(settings: dict[str, Any]) -> None:
    async with serving(settings | {"RATE_LIMIT_PHONE_CHANGES_PER_IP": "1 per hour"}) as app:
        clients = [await join(app, f"ada{number}@example.com") for number in range(2)]

        assert [(await save(client, PHONE)).status_code for client in clients] == [303, 429]
