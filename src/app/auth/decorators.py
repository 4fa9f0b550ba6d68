"""Detect a decorator of a view that stands above the route, where it would not run."""

import functools
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from quart import Quart

P = ParamSpec("P")
T = TypeVar("T")
View = Callable[P, Awaitable[T]]


def wraps(view: View[P, T]) -> Callable[[View[P, T]], View[P, T]]:
    """Do what functools.wraps does, and mark the view as one that must not serve a route itself."""

    def decorate(wrapper: View[P, T]) -> View[P, T]:
        wrapper = functools.wraps(view)(wrapper)
        wrapper.is_wrapped = False  # type: ignore[attr-defined] # which functools.wraps may have copied
        view.is_wrapped = True  # type: ignore[attr-defined] # read by check_order
        return wrapper

    return decorate


def check_order(app: Quart) -> None:
    """Raise RuntimeError for a decorator above a route: the route would serve the view without its check."""
    for endpoint, view in app.view_functions.items():
        if getattr(view, "is_wrapped", False):
            raise RuntimeError(f"a decorator of {endpoint} has no effect: move it below the route")
