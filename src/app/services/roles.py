"""Roles, and which users have them."""

from collections.abc import Sequence

from sqlalchemy import delete as sql_delete
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.lib.db.unique import flush_unique
from app.lib.errors import ServiceError, validate_single_line
from app.models import Role, User
from app.models.role import DESCRIPTION_LENGTH, NAME_LENGTH
from app.services import audit_log, users
from app.services.client import COMMAND_LINE


class RoleTaken(ServiceError):
    """Another role has this name."""

    message = "A role with this name already exists."


class UnknownRole(ServiceError):
    """No role has this name."""

    message = "There is no role with this name."


async def create(session: AsyncSession, *, name: str, description: str | None = None) -> Role:
    """Create a role. Raises RoleTaken."""
    validate_single_line("name", name, max_length=NAME_LENGTH)
    if description is not None:
        validate_single_line("description", description, max_length=DESCRIPTION_LENGTH)
    role = Role(name=name, description=description)
    session.add(role)
    await flush_unique(session, Role.name, taken=RoleTaken())
    audit_log.log(session, "role_created", role=role.name, **audit_log.by(COMMAND_LINE))
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
    """Return the users with a role. Lock their rows to write rows that refer to them. Raises UnknownRole."""
    role = await get_by_name(session, name=name)
    query = select(User).join(User.roles).where(Role.id == role.id).order_by(User.created_on, User.id)
    return (await session.scalars(query.with_for_update(of=User) if lock else query)).all()


async def delete(session: AsyncSession, *, name: str) -> None:
    """Delete a role, and remove it from every user. Raises UnknownRole."""
    role = await get_by_name(session, name=name)
    for user in await list_users(session, name=name, lock=True):
        await audit_log.record(session, user.id, "role_removed", COMMAND_LINE, role=role.name)
    await session.execute(sql_delete(Role).where(Role.id == role.id))
    audit_log.log(session, "role_deleted", role=name, **audit_log.by(COMMAND_LINE))


async def add_to_user(session: AsyncSession, *, email: str, role_name: str) -> User:
    """Add a role to a user, unless they have it. Raises UnknownUser, UnknownRole."""
    user = await users.get_by_email(session, email=email, lock=True)
    role = await get_by_name(session, name=role_name)
    if role not in user.roles:
        user.roles.append(role)
        await audit_log.record(session, user.id, "role_added", COMMAND_LINE, role=role.name)
    return user


async def remove_from_user(session: AsyncSession, *, email: str, role_name: str) -> User:
    """Remove a role from a user, if they have it. Raises UnknownUser, UnknownRole."""
    user = await users.get_by_email(session, email=email, lock=True)
    role = await get_by_name(session, name=role_name)
    if role in user.roles:
        user.roles.remove(role)
        await audit_log.record(session, user.id, "role_removed", COMMAND_LINE, role=role.name)
    return user
