"""Templates that are rendered in one go, and compiled for each language.

Quart's await whatever they call, so each call costs more. In ours nothing waits: what has to be awaited is awaited in
the view, or in a context processor, and handed over.

`{{ _("Log in") }}` says the same in a language at every request, so that is looked up once, when the template is
compiled for the language.
"""

from collections.abc import AsyncGenerator
from typing import Any

from jinja2 import Template, nodes, pass_eval_context
from jinja2.nodes import EvalContext
from jinja2.visitor import NodeTransformer
from markupsafe import Markup
from quart import Quart, g
from quart.templating import Environment

from app.languages import catalogue, language


class PlainTemplate(Template):
    async def render_async(self, *args: Any, **kwargs: Any) -> str:
        return self.render(*args, **kwargs)

    async def generate_async(self, *args: Any, **kwargs: Any) -> AsyncGenerator[str, object]:
        for piece in self.generate(*args, **kwargs):
            yield piece


@pass_eval_context
def say(how: EvalContext, message: str, /, **values: Any) -> str:
    """Say it in a template: in the reader's language, the values escaped."""
    text = catalogue(language()).gettext(message)
    if not how.autoescape:
        return text % values
    return Markup(text) % values if values else Markup(text % values)  # noqa: S704 # the message is ours


class Translator(NodeTransformer):
    """Say in a language what is to be said: `_("Log in")`, and `{% trans %}` without values.

    Only where it is shown, or given to what is called for each page: Jinja would work out more, once and for everybody.
    """

    def __init__(self, language: str) -> None:
        self.catalogue = catalogue(language)

    def visit_Output(self, output: nodes.Output) -> nodes.Node:  # noqa: N802 # Jinja's name for it
        self.generic_visit(output)
        output.nodes = [self.said(each) for each in output.nodes]
        return output

    def visit_Call(self, call: nodes.Call) -> nodes.Node:  # noqa: N802
        self.generic_visit(call)
        call.args = [self.said(each) for each in call.args]
        for each in call.kwargs:
            each.value = self.said(each.value)
        return call

    def said(self, node: nodes.Expr) -> nodes.Expr:
        match node:
            case nodes.Call(
                node=nodes.Name(name="_" | "gettext"),
                args=[nodes.Const(value=str(message))],
                kwargs=[],
            ) if "%" not in (text := self.catalogue.gettext(message)).replace("%%", ""):
                return nodes.MarkSafeIfAutoescape(nodes.Const(text.replace("%%", "%")), lineno=node.lineno)
        return node


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
        if self.language is not None and self._says_what_we_say(source):
            Translator(self.language).visit(source)
        return super()._generate(source, *args, **kwargs)

    def _says_what_we_say(self, source: nodes.Template) -> bool:
        """Say whether `_` means in a template what it means in ours."""
        own = {name.name for name in source.find_all(nodes.Name) if name.ctx != "load"}
        return not own & {"_", "gettext"} and all(self.globals.get(name) is say for name in ("_", "gettext"))


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
