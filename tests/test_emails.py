"""Which addresses open an account, and which two are one: the same on both databases.

The validator refuses kit.test, a name that is never on the Internet. Where the vectors have an account at kit.test, the
tests take example.com; they compare the keys at kit.test too, as an account of an older installation may have it.
"""

import json
from contextlib import nullcontext
from pathlib import Path

import pytest
from email_validator import EmailNotValidError
from hypothesis import given
from hypothesis import settings as tuned
from hypothesis import strategies as st
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import delete, insert
from sqlalchemy.exc import IntegrityError

from app.lib.email_address import email_key, valid_email
from app.models import User, UserSession
from app.models.user import EMAIL_KEY_LENGTH, EMAIL_LENGTH
from app.services import users
from support.actions import PASSWORD, can_log_in, count, execute, read, register
from support.app import both_databases

VECTORS = json.loads((Path(__file__).parent / "vectors" / "emails.json").read_text())
SAME = [
    ("user@kit.test", "USER@kit.test"),
    ("user@kit.test", "user@kit.test "),
    ("user@kit.test", "user@kit.test\t"),
    ("a@example.com", "a@example.com\u3000"),
    ("a@example.com", "\x1fa@example.com\x85"),
    ("user@\xe9cole.example.com", "USER@xn--cole-9oa.EXAMPLE.com"),
    ("A.B@example.com", "a.b@example.com"),
    ("a@example.com", "a@example\u3002com"),
    ("50%@example.com\t", "50%@example.com"),
]
PAIRS: list[tuple[str, str]] = [  # those that are not in SAME are two accounts
    *((one, other) for one, other in VECTORS["django_hijack_pairs"] + VECTORS["same_or_distinct_pairs"]),
    *SAME,
    ("a@stra\xdfe.example.com", "a@strasse.example.com"),
    ("\u0130@example.com", "i@example.com"),
    ("\xe9@example.com", "%C3%A9@example.com"),
    ("a+b@example.com", "a b@example.com"),
    ("a_b@example.com", "a-b@example.com"),
    ("\\'@example.com", "'@example.com"),
    ("%@example.com", "_@example.com"),
    ("mi\N{KELVIN SIGN}e@example.org", "mike@example.org"),
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
    further = ["user@kit.test", "ada@localhost", '"a b"@example.com', "a@[127.0.0.1]", "Ada <ada@example.com>"]
    for email in [*filter(None, VECTORS["must_reject"]), *further]:
        assert (await register(client, email=email)).status_code == 422, email

    form = {"password": PASSWORD, "password_confirm": PASSWORD}
    assert (await client.post("/register", form=form)).status_code == 422
    assert (await count(app, User), await count(app, UserSession)) == (0, 0)


def test_two_email_addresses_are_one_account_when_their_keys_are_equal() -> None:
    same = [(one, other) for one, other in ALL_PAIRS if email_key(one) == email_key(other)]

    assert set(same) == {*SAME, *((at_example(one), at_example(other)) for one, other in SAME)}


@both_databases
async def test_the_database_takes_two_email_addresses_for_one_exactly_when_their_keys_are_equal(app: Quart) -> None:
    for one, other in ALL_PAIRS:
        is_same = email_key(one) == email_key(other)
        # Written as an old installation may have them: no validator stands before the table.
        await execute(app, insert(User).values(email=one, email_key=email_key(one), active=True))
        assert (await read(app, users.find_by_email, email=other) is not None) is is_same
        with pytest.raises(IntegrityError) if is_same else nullcontext():
            await execute(app, insert(User).values(email=other, email_key=email_key(other), active=True))
        await execute(app, delete(User))


def test_a_valid_email_address_never_has_the_key_of_an_invalid_one() -> None:
    for name in ('"ada"', "ada b", "a(b)", "a\0b"):
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
