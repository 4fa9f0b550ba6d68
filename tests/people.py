"""What people do with the site, in a word each."""

from collections.abc import Awaitable, Callable
from typing import Any

from quart import Quart, Response
from quart.typing import TestClientProtocol
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import User, db
from app.models.base import Base
from app.services import accounts
from app.services.passwords import hash_password

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
    """Return what a form says of whose page it is on."""
    return (await page(client, path)).split('name="owner" value="')[1].split('"')[0]


async def is_logged_in(client: TestClientProtocol) -> bool:
    return "Logged in as" in await page(client)


async def create_user(
    app: Quart, email: str = EMAIL, password: str | None = PASSWORD, *, name: str | None = None, active: bool = True
) -> User:
    async with app.app_context():
        hashed = await hash_password(password) if password else None
        user = await db.write(accounts.register, email=email, password_hash=hashed, name=name)
        if not active:
            await db.write(accounts.deactivate, email=email)
        return user


async def read(app: Quart, verb: Callable[..., Awaitable[Any]], *arguments: Any, **named: Any) -> Any:
    """Run a verb as a request would."""
    async with app.app_context():
        return await db.read(verb, *arguments, **named)


async def write(app: Quart, verb: Callable[..., Awaitable[Any]], *arguments: Any, **named: Any) -> Any:
    async with app.app_context():
        return await db.write(verb, *arguments, **named)


async def count(app: Quart, what: type[Base], *conditions: ColumnElement[bool]) -> int:
    async def query(session: AsyncSession) -> int:
        return await session.scalar(select(func.count()).select_from(what).where(*conditions)) or 0

    async with app.app_context():
        return await db.read(query)


async def execute(app: Quart, statement: Any) -> None:
    async def run(session: AsyncSession) -> None:
        await session.execute(statement)

    async with app.app_context():
        await db.write(run)


def cookie_of(client: TestClientProtocol) -> str:
    """Return the value of the log-in cookie, as a thief would copy it."""
    assert client.cookie_jar is not None
    return next(cookie.value or "" for cookie in client.cookie_jar if cookie.name == "auth")


def thief_with(app: Quart, cookie: str) -> TestClientProtocol:
    """Return a browser that holds a copied cookie."""
    client = app.test_client()
    client.set_cookie("localhost", "auth", cookie)
    return client
