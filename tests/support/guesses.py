"""Logins and guesses of passwords, from many IP addresses, under the limits of a real site."""

import itertools
from collections import Counter
from typing import Any

from quart import Response
from quart.typing import TestClientProtocol

from app import default_config
from app.lib.settings.loader import defaults_of
from support.actions import EMAIL, PASSWORD, at_once

IP_ADDRESSES = (f"10.0.{number >> 8}.{number & 255}" for number in itertools.count())
EMAILS = (f"user{number}@example.com" for number in itertools.count())
LIMITS = {
    key: rate
    for key, rate in defaults_of(default_config).items()
    if key.startswith("RATE_LIMIT_") and "PHONE" not in key  # those are in test_phone.py
}


async def right(client: TestClientProtocol, *, ip: str = "", **more: Any) -> Response:
    """Log in, from an IP address that was not used before unless one is given."""
    form = {"email": EMAIL, "password": PASSWORD} | more
    headers = form.pop("headers", None)
    scope = {"client": (ip or next(IP_ADDRESSES), 4711)}
    return await client.post("/login", form=form, headers=headers, scope_base=scope)


async def wrong(client: TestClientProtocol, **more: Any) -> Response:
    return await right(client, password="wrong horse", **more)


async def guess(client: TestClientProtocol, times: int, **more: Any) -> Counter[int]:
    return await at_once(wrong(client, **more) for _ in range(times))


async def guess_at_others(client: TestClientProtocol, times: int, **more: Any) -> Counter[int]:
    return await at_once([wrong(client, email=next(EMAILS), **more) for _ in range(times)])
