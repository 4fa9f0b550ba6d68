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
    """Admit users who have all of these roles. A client without a session is sent to the login; others get 403."""
    return _admit(names, lambda: all(visitor().has_role(name) for name in names))


def roles_accepted(*names: str) -> Callable[[View[P, T]], View[P, T]]:
    """Admit users who have one of these roles."""
    return _admit(names, lambda: visitor().has_role(*names))


def _admit(names: tuple[str, ...], is_admitted: Callable[[], bool]) -> Callable[[View[P, T]], View[P, T]]:
    if not names:
        raise ValueError("name a role: without one, every user would be admitted")

    def decorate(view: View[P, T]) -> View[P, T]:
        @functools.wraps(view)
        async def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
            await logged_in_user()
            if not is_admitted():
                raise Forbidden
            return await view(*args, **kwargs)

        return guarded

    return decorate
