"""Templates are rendered synchronously: a view awaits the data of a page and passes the result.

Quart's own environment awaits every call in a template, which makes pages slower. In this one nothing is awaited, so
a coroutine would be printed, or count as true in a condition. A call that returns one, and an asynchronous filter, test
or global, raises TypeError instead.
"""

from collections.abc import AsyncGenerator, MutableMapping
from inspect import isasyncgenfunction, iscoroutinefunction
from types import AsyncGeneratorType, CoroutineType, FunctionType, MethodType
from typing import Any

from jinja2 import Environment, Template, pass_eval_context
from jinja2.nodes import EvalContext
from jinja2.runtime import Context
from markupsafe import Markup
from quart import Quart, current_app, g

from app.lib.i18n.catalogs import catalog, current_language

ASYNC_TYPES = (CoroutineType, AsyncGeneratorType)
FUNCTION_TYPES = (FunctionType, MethodType)


class SyncTemplate(Template):
    """A template that renders in one go, also where Quart calls an asynchronous method."""

    async def render_async(self, *args: Any, **kwargs: Any) -> str:
        return self.render(*args, **kwargs)

    async def generate_async(self, *args: Any, **kwargs: Any) -> AsyncGenerator[str, object]:
        for chunk in self.generate(*args, **kwargs):
            yield chunk


class SyncContext(Context):
    def call(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call a function in a template. Raises TypeError if it is asynchronous."""
        return refuse_async(super().call(function, *args, **kwargs))


class SyncFunctions(dict[str, Any]):
    """The filters or tests of an environment. Raises TypeError when a template uses an asynchronous one."""

    def get(self, name: str, default: Any = None) -> Any:
        """Return a function. Jinja calls this for each name when it compiles a template."""
        return refuse_async_function(name, super().get(name, default))


class SyncEnvironment(Environment):
    template_class = SyncTemplate
    context_class = SyncContext

    def __init__(self, app: Quart, **options: Any) -> None:
        super().__init__(loader=app.create_global_jinja_loader(), finalize=refuse_async, **options)
        self.filters, self.tests = SyncFunctions(self.filters), SyncFunctions(self.tests)

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        """Return the globals of a template that is being loaded. Raises TypeError if one of them is asynchronous."""
        for name, value in self.globals.items():
            refuse_async_function(name, value)
        return super().make_globals(d)


def refuse_async(value: Any) -> Any:
    """Return the value of an expression. Raises TypeError for a coroutine or an asynchronous generator."""
    if isinstance(value, ASYNC_TYPES):
        if isinstance(value, CoroutineType):
            value.close()  # else Python warns that it was never awaited
        raise async_in_template(value.__qualname__)
    return value


def refuse_async_function(name: str, value: Any) -> Any:
    is_function = type(value) in FUNCTION_TYPES  # isinstance would look into `request`, which is a proxy
    if is_function and (iscoroutinefunction(value) or isasyncgenfunction(value)):
        raise async_in_template(name)
    return value


def async_in_template(name: str) -> TypeError:
    return TypeError(f"{name} is asynchronous: await in the view and pass the result")


@pass_eval_context
def translate(eval_context: EvalContext, message: str, /, **values: Any) -> str:
    """Translate a message into the reader's language, and escape the values that are inserted.

    Jinja's own function does the same and takes three times as long, for 25 messages on a page.
    """
    text = catalog(current_language()).gettext(message)
    if not eval_context.autoescape:
        return text % values
    return Markup(text) % values if values else Markup(text % values)  # noqa: S704 # our own message


def take_focus() -> bool:
    """Return whether no field of this page has the focus yet: the first one with an error takes it."""
    is_free = "focus_taken" not in g
    g.focus_taken = True
    return is_free


def extension_templates(page: str) -> list[str]:
    """Return the templates that features add to a page."""
    templates: list[str] = current_app.extensions["extension_points"].templates.get(page, [])
    return templates


def init_app(app: Quart) -> None:
    """Remove Flask's context processors, which every blueprint inherits and Quart would run in a thread.

    They give templates the request, the session and `g`, which Quart's own have given already. Call this after
    registering the blueprints.
    """
    for processors in app.template_context_processors.values():
        processors[:] = [each for each in processors if each.__module__ != "flask.templating"]
    app.add_template_global(take_focus)
    app.add_template_global(extension_templates)
