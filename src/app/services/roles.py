"""Roles: what there is to be, and who is it."""

from collections.abc import Sequence

from sqlalchemy import delete as sql_delete
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Role, User
from app.models.role import DESCRIPTION_LENGTH, NAME_LENGTH
from app.services import accounts, activity
from app.services.activity import COMMAND_LINE
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


async def list_users(session: AsyncSession, *, name: str, lock: bool = False) -> Sequence[User]:
    """Return who has a role; to write what points at them, locked until the unit ends. Raises UnknownRole."""
    role = await get_by_name(session, name=name)
    wanted = select(User).join(User.roles).where(Role.id == role.id).order_by(User.id)
    return (await session.scalars(wanted.with_for_update(of=User) if lock else wanted)).all()


async def delete(session: AsyncSession, *, name: str) -> None:
    """Delete a role, and take it from everybody who has it. Raises UnknownRole."""
    role = await get_by_name(session, name=name)
    for user in await list_users(session, name=name, lock=True):
        await activity.note(session, user.id, "role_removed", COMMAND_LINE)
    await session.execute(sql_delete(Role).where(Role.id == role.id))


async def add_to_user(session: AsyncSession, *, email: str, role_name: str) -> User:
    """Give a user a role; one that they have stays. Raises UnknownUser, UnknownRole."""
    user = await accounts.get_by_email(session, email=email, lock=True)
    role = await get_by_name(session, name=role_name)
    if role not in user.roles:
        user.roles.append(role)
        await activity.note(session, user.id, "role_added", COMMAND_LINE)
    return user


async def remove_from_user(session: AsyncSession, *, email: str, role_name: str) -> User:
    """Take a role from a user, if they have it. Raises UnknownUser, UnknownRole."""
    user = await accounts.get_by_email(session, email=email, lock=True)
    role = await get_by_name(session, name=role_name)
    if role in user.roles:
        user.roles.remove(role)
        await activity.note(session, user.id, "role_removed", COMMAND_LINE)
    return user
