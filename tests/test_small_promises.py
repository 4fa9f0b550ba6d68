"""Promises of one line each that a review found without a test."""

import secrets
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import select

from app.auth.email_links import build_url, verify_token
from app.lib.logs import shown
from app.models import UserEvent
from app.models.user_token import TokenPurpose
from app.services.tokens import InvalidToken
from support.actions import PASSWORD, can_log_in, create_user, scalars
from support.app import serving


async def test_a_response_without_a_body_has_a_line_in_the_log(
    client: TestClientProtocol, log: pytest.LogCaptureFixture
) -> None:
    etag = (await client.get("/static/favicon.svg")).headers["ETag"]
    response = await client.get("/static/favicon.svg", headers={"If-None-Match": etag})

    assert response.status_code == 304
    assert log.text.count("status=304") == 1


def test_a_value_with_a_space_or_an_equals_sign_is_quoted() -> None:
    assert [shown(value) for value in ("a b", "a=b", 'a"b', "a\\b", "ab")] == [
        '"a b"',
        '"a=b"',
        '"a\\"b"',
        '"a\\\\b"',
        "ab",
    ]


@pytest.mark.parametrize(
    ("chosen", "typed"),
    [
        ("ﬁve correct horses", "five correct horses"),  # a ligature: NFC keeps it, NFKC does not
        (" two spaces around ", "two spaces around"),
        ("two spaces around", " two spaces around "),
    ],
)
async def test_a_password_that_looks_alike_is_another_one(app: Quart, chosen: str, typed: str) -> None:
    await create_user(app, password=chosen)

    assert [await can_log_in(app, password=password) for password in (chosen, typed)] == [True, False]


async def test_the_forwarded_header_names_no_client_behind_a_proxy(settings: dict[str, Any]) -> None:
    async with serving(settings | {"TRUSTED_PROXIES": 1}) as app:
        await create_user(app)
        headers = {"Forwarded": "for=192.0.2.66;host=evil.example", "X-Forwarded-For": "192.0.2.1"}
        form = {"email": "ada@example.com", "password": PASSWORD}
        assert (await app.test_client().post("/login", form=form, headers=headers)).status_code == 303
        assert set(await scalars(app, select(UserEvent.ip))) == {"192.0.2.1"}


async def test_the_signature_of_a_link_is_valid_for_its_purpose_only(app: Quart) -> None:
    async with app.app_context():
        token = secrets.token_urlsafe(32)
        signed = build_url(TokenPurpose.RESET, token).rpartition("/")[2]
        assert verify_token(signed, purpose=TokenPurpose.RESET) == token
        with pytest.raises(InvalidToken):
            verify_token(signed, purpose=TokenPurpose.CONFIRM)
