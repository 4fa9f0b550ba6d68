"""A user with an authenticator app, and the actions of this user."""

import base64
import re
from dataclasses import dataclass
from datetime import timedelta

from quart import Quart, Response
from quart.typing import TestClientProtocol
from sqlalchemy import update

from app.features.second_factor import totp
from app.lib import clock
from app.models import User
from support.actions import EMAIL, PASSWORD, create_user, enter, execute, log_in, page
from support.mail_helpers import link

TOTP, LOGIN = "/account/second-factor/totp", "/login/second"
NEW_PASSWORD = "another horse battery staple"
STEP = timedelta(seconds=totp.STEP_SECONDS)


@dataclass
class Phone:
    """An authenticator app with the secret of one account, and the recovery codes that the user has saved."""

    secret: bytes
    recovery_codes: list[str]

    def code(self, steps: int = 0) -> str:
        return totp.code_at(self.secret, totp.step_at(clock.now()) + steps)

    def wrong_code(self) -> str:
        near = {self.code(step) for step in range(-totp.CLOCK_ERROR_STEPS - 1, totp.CLOCK_ERROR_STEPS + 2)}
        return next(code for code in map("{:06}".format, range(100)) if code not in near)


async def confirm(app: Quart, email: str = EMAIL) -> None:
    await execute(app, update(User).where(User.email == email).values(confirmed_on=clock.now()))


async def shown_secret(client: TestClientProtocol) -> bytes:
    found = re.search("<code>([A-Z2-7]{32})</code>", await page(client, TOTP))
    assert found
    return base64.b32decode(found[1])


async def enrol(client: TestClientProtocol) -> Phone:
    """Enrol an authenticator app in a logged-in browser."""
    phone = Phone(await shown_secret(client), [])
    assert (await client.post(TOTP, form={"code": phone.code(-1)})).status_code == 303
    phone.recovery_codes = re.findall(r"<code>(\d\d-\w{5}-\w{5})</code>", await page(client, "/account/second-factor"))
    return phone


async def enrolled_user(app: Quart, email: str = EMAIL) -> Phone:
    """Create a user with a second factor. The current code is not used yet."""
    await create_user(app, email)
    await confirm(app, email)
    return await enrol(await enter(app, email))


async def password_entered(app: Quart, **typed: str) -> TestClientProtocol:
    """Return a browser with a pending login."""
    client = app.test_client()
    assert (await log_in(client, **typed)).location == LOGIN
    return client


async def enter_code(client: TestClientProtocol, code: str, *, ip: str = "127.0.0.1") -> Response:
    return await client.post(LOGIN, form={"code": code}, scope_base={"client": (ip, 50000)})


async def reauthenticate(client: TestClientProtocol, code: str, password: str = PASSWORD) -> Response:
    return await client.post("/verify", form={"password": password, "code": code})


async def reset_the_password(app: Quart, ada: TestClientProtocol) -> None:
    await app.test_client().post("/reset", form={"email": EMAIL})
    reset = await app.test_client().post(
        await link(app, "reset"), form={"new_password": NEW_PASSWORD, "new_password_confirm": NEW_PASSWORD}
    )
    assert reset.location == "/login"


async def report_the_login(app: Quart, ada: TestClientProtocol) -> None:
    assert (await app.test_client().post(await link(app, "new_login"))).status_code == 303
