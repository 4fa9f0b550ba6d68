"""Which addresses open an account, and which two are one: the same on both databases.

The validator refuses kit.test, a name that is never on the Internet. Where the vectors have an account at kit.test, the
tests take example.com; they compare the keys at kit.test too, as an account of an older installation may have it.
"""

import json
from pathlib import Path

import pytest
from email_validator import EmailNotValidError
from hypothesis import HealthCheck, given
from hypothesis import settings as tuned
from hypothesis import strategies as st
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import delete, insert
from sqlalchemy.exc import IntegrityError

from app.lib.db import db
from app.lib.email_address import email_key, valid_email
from app.models import User, UserSession
from app.models.user import EMAIL_KEY_LENGTH, EMAIL_LENGTH
from app.services import users
from support.actions import PASSWORD, can_log_in, count, create_user, execute, is_logged_in, log_in, register
from support.app import both_databases

VECTORS = json.loads((Path(__file__).parent / "vectors" / "emails.json").read_text())
# Valid by RFC 5321 and for a browser; the vectors refuse them for what a template or a spreadsheet makes of them.
TEMPLATES = ["={7*7}@b.com", "${7*7}@b.com"]
LONG_LOCAL_PART = "a" * 65 + "@b.com"
PAIRS: list[tuple[str, str]] = [
    *((one, other) for one, other in VECTORS["django_hijack_pairs"] + VECTORS["same_or_distinct_pairs"]),
    ("a@example.com", "a@example.com\u3000"),
    ("a@example.com", "\x1fa@example.com\x85"),
    ("user@\xe9cole.example.com", "USER@xn--cole-9oa.EXAMPLE.com"),
    ("a@stra\xdfe.example.com", "a@strasse.example.com"),
    ("\u0130@example.com", "i@example.com"),
    ("A.B@example.com", "a.b@example.com"),
    ("\xe9@example.com", "%C3%A9@example.com"),
    ("a+b@example.com", "a b@example.com"),
    ("a_b@example.com", "a-b@example.com"),
    ("\\'@example.com", "'@example.com"),
    ("%@example.com", "_@example.com"),
]
SAME = [  # every other pair is two accounts
    ("user@kit.test", "USER@kit.test"),
    ("user@kit.test", "user@kit.test "),
    ("user@kit.test", "user@kit.test\t"),
    ("a@example.com", "a@example.com\u3000"),
    ("a@example.com", "\x1fa@example.com\x85"),
    ("user@\xe9cole.example.com", "USER@xn--cole-9oa.EXAMPLE.com"),
    ("A.B@example.com", "a.b@example.com"),
    ("a@example.com", "a@example\u3002com"),
]


def at_example(email: str) -> str:
    """Return the address at a domain where accounts may be."""
    return email.replace("kit.test", "example.com").replace("kit\u3002test", "example\u3002com")


ALL_PAIRS = list(dict.fromkeys([*PAIRS, *((at_example(one), at_example(other)) for one, other in PAIRS)]))


def is_valid(email: str) -> bool:
    try:
        valid_email(email)
    except EmailNotValidError:
        return False
    return True


@both_databases
async def test_a_valid_email_address_opens_an_account(app: Quart) -> None:
    for email in VECTORS["must_accept"]:
        assert (await register(app.test_client(), email=email)).status_code == 303
        assert await can_log_in(app, email.upper())


async def test_an_invalid_email_address_opens_no_account(app: Quart, client: TestClientProtocol) -> None:
    ours_to_decide = [None, LONG_LOCAL_PART, *TEMPLATES]
    bad = [email for email in VECTORS["must_reject"] if email not in ours_to_decide]
    for email in [
        *bad,
        "user@kit.test",
        "ada@localhost",
        '"a b"@example.com',
        "a@[127.0.0.1]",
        LONG_LOCAL_PART,
        *TEMPLATES,
        "Ada <ada@example.com>",
    ]:
        assert (await register(client, email=email)).status_code == 422, email

    form = {"password": PASSWORD, "password_confirm": PASSWORD}
    assert (await client.post("/register", form=form)).status_code == 422
    assert (await count(app, User), await count(app, UserSession)) == (0, 0)


def test_two_email_addresses_are_one_account_when_their_keys_are_equal() -> None:
    same = [(one, other) for one, other in ALL_PAIRS if email_key(one) == email_key(other)]

    assert set(same) == {*SAME, *((at_example(one), at_example(other)) for one, other in SAME)}


@both_databases
async def test_the_database_takes_two_email_addresses_for_one_exactly_when_their_keys_are_equal(app: Quart) -> None:
    for number, (one, other) in enumerate(ALL_PAIRS):
        same = email_key(one) == email_key(other)
        # Written as an old installation may have them: no validator stands before the table.
        keys = {one: f"{number}-{email_key(one)}", other: f"{number}-{email_key(other)}"}
        first, second = (insert(User).values(email=email, email_key=keys[email], active=True) for email in (one, other))
        await execute(app, first)
        if same:
            with pytest.raises(IntegrityError):
                await execute(app, second)
        else:
            await execute(app, second)


@both_databases
async def test_a_look_alike_does_not_log_in_to_the_account(app: Quart, client: TestClientProtocol) -> None:
    for one, other in VECTORS["django_hijack_pairs"]:
        await create_user(app, one)

        assert (await register(client, email=other, password="eve's own horse")).status_code == 422
        assert (await log_in(client, email=other)).status_code == 422
        assert not await is_logged_in(client)


def test_a_letter_of_another_alphabet_is_not_folded_into_ascii() -> None:
    assert email_key("mi\N{KELVIN SIGN}e@example.org") != email_key("mike@example.org")


def test_a_percent_sign_in_an_email_address_and_a_tab_behind_it_make_no_second_key() -> None:
    assert email_key("50%@example.com\t") == email_key("50%@example.com")


@pytest.mark.parametrize("name", ['"ada"', "ada b", "a(b)", "a\0b"])
def test_a_valid_email_address_never_has_the_key_of_an_invalid_one(name: str) -> None:
    spelled = "".join(char if char.isalnum() else f"%{ord(char):02X}" for char in name)

    assert not is_valid(f"{name}@example.com")
    assert email_key(f"{spelled}@example.com") != email_key(f"{name}@example.com")


@tuned(max_examples=50, deadline=None)
@given(st.text() | st.emails() | st.builds("{}@{}".format, st.text(), st.text()))
def test_every_text_has_a_key_of_visible_ascii(typed: str) -> None:
    key = email_key(typed)

    assert all("!" <= char <= "~" for char in key)
    if "%" in typed:  # which the test above is about
        return
    assert email_key(f" {typed}\n") == key
    if is_valid(typed):
        assert email_key(key) == key == email_key(typed.swapcase() if typed.isascii() else typed)
        assert len(valid_email(typed)) <= EMAIL_LENGTH
        assert len(key) <= EMAIL_KEY_LENGTH


LETTERS = st.sampled_from("aAbé\u0301ßıİ .%_-'\"\\+\t\u3000\u200b😀😁ａ")


@both_databases
@tuned(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(one=st.text(LETTERS, min_size=1, max_size=3), other=st.text(LETTERS, min_size=1, max_size=3))
async def test_the_database_agrees_with_the_key_on_any_two_texts(app: Quart, one: str, other: str) -> None:
    one, other = f"{one}@example.com", f"{other}@example.com"
    await execute(app, insert(User).values(email=one, email_key=email_key(one), active=True))
    async with app.app_context():
        found = await db.read(users.find_by_email, email=other)
        kept = await db.read(users.find_by_email, email=one)
    await execute(app, delete(User))

    assert (found is not None) is (email_key(one) == email_key(other))
    assert kept is not None
    assert kept.email == one
