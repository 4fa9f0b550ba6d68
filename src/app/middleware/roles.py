"""Views for those who have a role. Put it under the route: @roles_required("admin")."""

import functools
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from werkzeug.exceptions import Forbidden

from app.middleware.authentication import logged_in_user, visitor

P = ParamSpec("P")
T = TypeVar("T")
View = Callable[P, Awaitable[T]]


def roles_required(*names: str) -> Callable[[View[P, T]], View[P, T]]:
    """Let in who has all of these roles; a stranger is asked to log in, anybody else gets 403."""
    wanted = _named(names)
    return _let_in(lambda: all(visitor().has_role(name) for name in wanted))


def roles_accepted(*names: str) -> Callable[[View[P, T]], View[P, T]]:
    """Let in who has one of these roles."""
    wanted = _named(names)
    return _let_in(lambda: visitor().has_role(*wanted))


def _named(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names. Raises ValueError for none, which would let everybody in, or nobody."""
    if not names:
        raise ValueError("name a role")
    return names


def _let_in(may_enter: Callable[[], bool]) -> Callable[[View[P, T]], View[P, T]]:
    def decorate(view: View[P, T]) -> View[P, T]:
        @functools.wraps(view)
        async def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
            await logged_in_user()
            if not may_enter():
                raise Forbidden
            return await view(*args, **kwargs)

        return guarded

    return decorate
