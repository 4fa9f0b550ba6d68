"""What users do with the site, and what the database has of it."""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from quart import Quart, Response
from quart.typing import TestClientProtocol
from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.lib.db import db
from app.lib.passwords.hasher import hash_password
from app.models import User, UserEvent
from app.models.base import Base
from app.services import roles, users
from app.services.client import COMMAND_LINE

EMAIL = "ada@example.com"
PASSWORD = "correct horse battery staple"


async def register(client: TestClientProtocol, **typed: Any) -> Response:
    form = {"email": EMAIL, "password": PASSWORD, "password_confirm": typed.get("password", PASSWORD)}
    return await client.post("/register", form=form | typed)


async def log_in(client: TestClientProtocol, **typed: Any) -> Response:
    return await client.post("/login", form={"email": EMAIL, "password": PASSWORD} | typed)


async def change_password(client: TestClientProtocol, **typed: Any) -> Response:
    new = typed.get("new_password", "another horse battery staple")
    form = {"password": PASSWORD, "new_password": new, "new_password_confirm": new}
    return await client.post("/change", form=form | typed)


async def page(client: TestClientProtocol, path: str = "/") -> str:
    response = await client.get(path)
    return await response.get_data(as_text=True)


async def owner_on(client: TestClientProtocol, path: str) -> str:
    """Return the field of a form that binds it to the session of its user."""
    return (await page(client, path)).split('name="owner" value="')[1].split('"')[0]


async def is_logged_in(client: TestClientProtocol) -> bool:
    return (await client.get("/account")).status_code == 200


async def create_user(
    app: Quart, email: str = EMAIL, password: str | None = PASSWORD, *, name: str | None = None, active: bool = True
) -> User:
    async with app.app_context():
        hashed = await hash_password(password) if password else None
        user = await db.write(users.create, email=email, password_hash=hashed, name=name, client=COMMAND_LINE)
        await db.write(forget_events, user.id)
        if not active:
            await db.write(users.deactivate, email=email)
        return user


async def forget_events(session: AsyncSession, user_id: int) -> None:
    """Delete the event of the registration, so that a test sees only those that it causes."""
    await session.execute(delete(UserEvent).where(UserEvent.user_id == user_id))


async def read(app: Quart, function: Callable[..., Awaitable[Any]], *arguments: Any, **named: Any) -> Any:
    """Run a service function as a request would."""
    async with app.app_context():
        return await db.read(function, *arguments, **named)


async def write(app: Quart, function: Callable[..., Awaitable[Any]], *arguments: Any, **named: Any) -> Any:
    async with app.app_context():
        return await db.write(function, *arguments, **named)


async def scalars(app: Quart, statement: Any) -> list[Any]:
    """Return the first column of a query."""

    async def query(session: AsyncSession) -> list[Any]:
        return list(await session.scalars(statement))

    return list(await read(app, query))


async def count(app: Quart, what: type[Base], *conditions: ColumnElement[bool]) -> int:
    return int((await scalars(app, select(func.count()).select_from(what).where(*conditions)))[0])


async def emails_of_users(app: Quart) -> list[str]:
    return await scalars(app, select(User.email).order_by(User.id))


async def execute(app: Quart, statement: Any) -> None:
    async def run(session: AsyncSession) -> None:
        await session.execute(statement)

    await write(app, run)


def cookie_of(client: TestClientProtocol) -> str:
    """Return the value of the session cookie, as an attacker would copy it."""
    assert client.cookie_jar is not None
    return next(cookie.value or "" for cookie in client.cookie_jar if cookie.name == "auth")


def attacker_with(app: Quart, cookie: str) -> TestClientProtocol:
    """Return a browser that holds a copied cookie."""
    client = app.test_client()
    client.set_cookie("localhost", "auth", cookie)
    return client


async def enter(app: Quart, email: str = EMAIL, **typed: Any) -> TestClientProtocol:
    """Return a browser that has logged in."""
    client = app.test_client()
    assert (await log_in(client, email=email, **typed)).status_code == 303
    return client


async def can_log_in(app: Quart, email: str = EMAIL, password: str = PASSWORD) -> bool:
    return (await log_in(app.test_client(), email=email, password=password)).status_code == 303


async def at_once(requests: Iterable[Awaitable[Response]]) -> Counter[int]:
    """Send requests at once, and return how often each status was returned."""
    return Counter(response.status_code for response in await asyncio.gather(*requests))


async def error_beside(response: Response, field: str) -> str:
    """Return the message that a refused form shows beside a field."""
    assert response.status_code == 422
    text = await response.get_data(as_text=True)
    found = re.search(rf'id="{field}-error"[^>]*>(.*?)</small>', text, re.DOTALL)
    return found[1] if found else ""


async def comparable(response: Response) -> tuple[int, str, list[tuple[str, str]]]:
    """Return all of a response but what differs each time: its request id, its date, and the contents of cookies."""
    text = re.sub(r'<code>\w+</code>|"request_id":"\w+"', "", await response.get_data(as_text=True))
    headers = [(name.lower(), value) for name, value in response.headers.items()]
    headers = [(name, re.sub("=[^;]*", "", value, count=1) if "cookie" in name else value) for name, value in headers]
    return response.status_code, text, sorted(pair for pair in headers if pair[0] not in ("x-request-id", "date"))


async def create_role(app: Quart, name: str, *emails: str) -> None:
    """Create a role, and give it to the users with these e-mail addresses."""
    await write(app, roles.create, name=name)
    for email in emails:
        await write(app, roles.add_to_user, email=email, role_name=name)
