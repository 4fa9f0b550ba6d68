"""Roles: what there is to be, and who is it."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Role
from app.models.role import DESCRIPTION_LENGTH, NAME_LENGTH
from app.services import accounts
from app.services.refusals import Refusal, check_line


class RoleTaken(Refusal):
    """Another role has this name."""

    message = "There is a role of this name."


class UnknownRole(Refusal):
    """No role has this name."""

    message = "There is no role of this name."


async def create(session: AsyncSession, *, name: str, description: str | None = None) -> Role:
    """Make a role. Raises RoleTaken."""
    check_line("name", name, longest=NAME_LENGTH)
    if description is not None:
        check_line("description", description, longest=DESCRIPTION_LENGTH)
    role = Role(name=name, description=description)
    session.add(role)
    try:
        await session.flush()
    except IntegrityError as error:
        raise RoleTaken from error
    return role


async def list_all(session: AsyncSession) -> Sequence[Role]:
    return (await session.scalars(select(Role).order_by(Role.name))).all()


async def get_by_name(session: AsyncSession, *, name: str) -> Role:
    """Return a role. Raises UnknownRole."""
    role = await session.scalar(select(Role).where(Role.name == name))
    if role is None:
        raise UnknownRole
    return role


async def add_to_user(session: AsyncSession, *, email: str, role_name: str) -> None:
    """Give a user a role; one that they have stays. Raises UnknownUser, UnknownRole."""
    user = await accounts.get_by_email(session, email=email, lock=True)
    role = await get_by_name(session, name=role_name)
    if role not in user.roles:
        user.roles.append(role)


async def remove_from_user(session: AsyncSession, *, email: str, role_name: str) -> None:
    """Take a role from a user, if they have it. Raises UnknownUser, UnknownRole."""
    user = await accounts.get_by_email(session, email=email, lock=True)
    role = await get_by_name(session, name=role_name)
    if role in user.roles:
        user.roles.remove(role)
