"""Templates that are rendered in one go, and compiled for each language.

Quart's await whatever they call, so each call costs more. In ours nothing waits: what has to be awaited is awaited in
the view, or in a context processor, and handed over.

`{{ _("Log in") }}` says the same in a language at every request, so that is looked up once, when the template is
compiled for the language.
"""

from collections.abc import AsyncGenerator, Callable
from typing import Any

from jinja2 import Template, nodes
from jinja2.visitor import NodeTransformer
from quart import Quart, g
from quart.templating import Environment

from app.languages import catalogue, language


class PlainTemplate(Template):
    async def render_async(self, *args: Any, **kwargs: Any) -> str:
        return self.render(*args, **kwargs)

    async def generate_async(self, *args: Any, **kwargs: Any) -> AsyncGenerator[str, object]:
        for piece in self.generate(*args, **kwargs):
            yield piece


class Translator(NodeTransformer):
    """Say in a language what is to be said: `_("Log in")`, and `{% trans %}` without values."""

    def __init__(self, say: Callable[[str], str]) -> None:
        self.say = say

    def visit_Call(self, call: nodes.Call) -> nodes.Node:  # noqa: N802 # Jinja's name for it
        self.generic_visit(call)
        match call:
            case nodes.Call(node=nodes.Name(name="_" | "gettext"), args=[nodes.Const(value=str(message))], kwargs=[]):
                return nodes.MarkSafeIfAutoescape(nodes.Const(self.say(message) % {}), lineno=call.lineno)
        return call


class Templates(Environment):
    template_class = PlainTemplate

    def __init__(self, app: Quart, **options: Any) -> None:
        super().__init__(app, **options)
        self.is_async = False
        self.language: str | None = None
        self.of_languages: dict[str, Templates] = {}

    def get_template(self, *args: Any, **kwargs: Any) -> Template:
        """Return a template in the language of whoever is answered."""
        return super(Templates, self.in_language(language())).get_template(*args, **kwargs)

    def select_template(self, *args: Any, **kwargs: Any) -> Template:
        return super(Templates, self.in_language(language())).select_template(*args, **kwargs)

    def in_language(self, language: str) -> "Templates":
        """Return the environment that keeps what is compiled for a language. Made when first asked for."""
        if language not in self.of_languages:
            environment = self.overlay()
            environment.language = language
            environment.bytecode_cache = None  # it would take what is compiled for one language for the others
            self.of_languages[language] = environment
        return self.of_languages[language]

    def _generate(self, source: nodes.Template, *args: Any, **kwargs: Any) -> str:
        if self.language is not None:
            Translator(catalogue(self.language).gettext).visit(source)
        return super()._generate(source, *args, **kwargs)


def take_focus() -> bool:
    """Say whether nothing on this page has the focus yet: the first wrong field takes it."""
    is_free = "focus_taken" not in g
    g.focus_taken = True
    return is_free


def init_app(app: Quart) -> None:
    """After the blueprints: each brings along what Flask gives to templates, which Quart would run in a thread.

    Quart has given them the same already: the request, the session and `g`.
    """
    for processors in app.template_context_processors.values():
        processors[:] = [each for each in processors if each.__module__ != "flask.templating"]
    app.add_template_global(take_focus)
