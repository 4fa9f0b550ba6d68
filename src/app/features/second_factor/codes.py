"""Check and consume a code of the authenticator app, or a recovery code.

The caller counts the attempt and checks the code. Then one transaction consumes the code. No transaction is open while
a recovery code is hashed.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.second_factor import factors, recovery_codes, totp
from app.features.second_factor.models import SecondFactor
from app.lib import clock
from app.lib.db import db
from app.lib.i18n.catalogs import lazy_gettext as _
from app.lib.passwords.hasher import verify_password
from app.models import User
from app.services import audit_log, authentication, rate_limits, security_alerts, users
from app.services.attempts import RateLimits
from app.services.client import Client
from app.services.extension_points import WrongProof
from app.services.rate_limits import Hit, limit

SEPARATORS = re.compile(r"[\s-]+")
ALERT_INTERVAL = 3  # wrong codes until the next security alert


class WrongCode(WrongProof):
    """The code is wrong, was used before, or belongs to another user."""

    message = _("The code is wrong.")


class ClockWrong(WrongCode):
    """The code is correct, but for a time up to five minutes earlier or later."""

    message = _("The clock of your phone is wrong. Turn on automatic time, and enter the next code.")


class CheckedCode(NamedTuple):
    """A correct code that is not consumed yet: a step of the authenticator app, or the hash of a recovery code."""

    user_id: int
    hits: list[Hit]
    step: int | None = None
    recovery_hash: str | None = None


@asynccontextmanager
async def counted(user_id: int, client: Client) -> AsyncIterator[list[Hit]]:
    """Count an attempt for the account before the check, and record a wrong code. Raises RateLimitExceeded."""
    limits = RateLimits((), (limit("WRONG_CODES_PER_ACCOUNT", f"user {user_id}"),))
    async with authentication.rate_limited(limits) as hits:
        try:
            yield hits
        except WrongCode:
            await db.write(_record_wrong_code, user_id, client)
            raise


async def check(user_id: int, typed: str, *, hits: list[Hit]) -> CheckedCode:
    """Check a code, without consuming it. Raises WrongCode, ClockWrong."""
    if recovery_code := recovery_codes.parse_code(SEPARATORS.sub("", typed).upper()):
        return await _check_recovery_code(user_id, *recovery_code, hits=hits)
    factor = await db.read(factors.find, user_id=user_id)
    secret = factors.decrypt(factor) if factor else None
    if secret is None:
        raise WrongCode
    return CheckedCode(user_id, hits, step=step_of(typed, secret))


def step_of(typed: str, secret: bytes) -> int:
    """Return the step to which a code of the authenticator app belongs. Raises WrongCode, ClockWrong."""
    code, now = SEPARATORS.sub("", typed), clock.now()
    step = totp.find_step(secret, code, now=now)
    if step is not None:
        return step
    is_near = totp.find_step(secret, code, now=now, tolerance=totp.CLOCK_ERROR_STEPS) is not None
    raise ClockWrong if is_near else WrongCode


async def consume(session: AsyncSession, checked: CheckedCode) -> None:
    """Consume a code, so that it works once. Raises WrongCode. The caller has locked the user's row."""
    if checked.recovery_hash is not None:
        if not await recovery_codes.consume(session, checked.user_id, hashed=checked.recovery_hash):
            raise WrongCode
    elif not await _advance(session, checked.user_id, checked.step):
        raise WrongCode
    await session.execute(_of(checked.user_id).values(wrong_codes=0))
    await rate_limits.refund(session, checked.hits)


async def verify(user: User, typed: str, client: Client) -> None:
    """Check and consume a code, for /verify. Raises WrongCode, ClockWrong, RateLimitExceeded."""
    async with counted(user.id, client) as hits:
        checked = await check(user.id, typed, hits=hits)
        await db.write(_consume_alone, checked, client)


async def report(session: AsyncSession, user: User, event: str, client: Client) -> None:
    """Record an event of the second factor, and send a security alert."""
    await audit_log.record(session, user.id, event, client)
    await security_alerts.send_alert(session, user, "second_factor_changed", client, change=event)


async def _check_recovery_code(user_id: int, number: int, secret: str, *, hits: list[Hit]) -> CheckedCode:
    row = await db.read(recovery_codes.find, user_id, number=number)
    if await verify_password(secret, row.hash if row else None) is None or row is None:
        raise WrongCode
    return CheckedCode(user_id, hits, recovery_hash=row.hash)


async def _advance(session: AsyncSession, user_id: int, step: int | None) -> bool:
    """Store the step of a code, and return whether it is later than that of the last code."""
    advanced: Any = await session.execute(_of(user_id).where(SecondFactor.last_step < step).values(last_step=step))
    if advanced.rowcount and (factor := await factors.find(session, user_id=user_id)):
        factors.encrypt_again(factor)
    return bool(advanced.rowcount)


async def _record_wrong_code(session: AsyncSession, user_id: int, client: Client) -> None:
    user = await users.lock(session, user_id)
    factor = await factors.find(session, user_id=user_id) if user else None
    if user is None or factor is None:
        return
    factor.wrong_codes += 1
    await audit_log.record(session, user.id, "second_factor_failed", client)
    if factor.wrong_codes % ALERT_INTERVAL == 0:
        await security_alerts.send_alert(session, user, "second_factor_wrong_codes", client)


def _of(user_id: int) -> Any:
    return update(SecondFactor).where(SecondFactor.user_id == user_id)


async def _consume_alone(session: AsyncSession, checked: CheckedCode, client: Client) -> None:
    user = await users.lock(session, checked.user_id)
    if user is None:
        raise WrongCode
    await consume(session, checked)
    if checked.recovery_hash is not None:
        await report(session, user, "recovery_code_used", client)
