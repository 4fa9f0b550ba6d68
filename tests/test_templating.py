"""Templates are rendered in one go, nothing of them in threads, and what a language calls things is looked up once."""

import asyncio
from pathlib import Path

import pytest
from jinja2 import FileSystemBytecodeCache, FileSystemLoader, nodes
from quart import Quart, render_template, render_template_string, request, stream_template_string

from app.languages import speaking
from app.middleware.authentication import CurrentUser
from app.templating import Templates, take_focus

PAGE = """{{ _("Log in") }} {{ gettext("Log in") | upper }} {{ _("<b>100%%</b>") }} {{ dict(word=_("Log in")).word }}
{% trans %}Log in{% endtrans %}, {% trans who="<Ada>" %}Logged in as <strong>{{ who }}</strong>{% endtrans %}"""
IN_ENGLISH = "Log in LOG IN <b>100%</b> Log in\nLog in, Logged in as <strong>{}</strong>"
IN_GERMAN = "Anmelden ANMELDEN <b>100%</b> Anmelden\nAnmelden, Angemeldet als <strong>{}</strong>"
ADA = {"page.html": "&lt;Ada&gt;", "page.txt": "<Ada>"}


async def test_what_a_template_is_given_needs_no_thread(app: Quart) -> None:
    processors = [each for group in app.template_context_processors.values() for each in group]
    assert processors
    assert all(asyncio.iscoroutinefunction(each) for each in processors)


async def test_a_template_knows_whether_somebody_is_logged_in_without_waiting(app: Quart) -> None:
    template = "{% if current_user.is_authenticated %}somebody{% else %}nobody{% endif %}"
    async with app.test_request_context("/"):
        assert await render_template_string(template) == "nobody"


async def test_a_forgotten_await_is_an_error_and_not_a_yes(app: Quart) -> None:
    async with app.test_request_context("/"):
        with pytest.raises(RuntimeError, match="await"):
            assert CurrentUser("the secret of a log-in that nobody has looked up").is_authenticated


async def test_a_template_can_be_streamed(app: Quart) -> None:
    async with app.test_request_context("/"):
        pieces = [piece async for piece in await stream_template_string("{{ 1 + 1 }}!")]
    assert "".join(pieces) == "2!"


@pytest.fixture
def templates(app: Quart, tmp_path: Path) -> Templates:
    """Return the site's templates, of which there are two now."""
    assert isinstance(app.jinja_env, Templates)
    app.jinja_env.loader = FileSystemLoader(tmp_path)
    for name in ADA:
        (tmp_path / name).write_text(PAGE)
    return app.jinja_env


@pytest.mark.parametrize("name", ADA)
async def test_a_template_speaks_to_everybody_in_their_language(
    app: Quart, templates: Templates, tmp_path: Path, name: str
) -> None:
    templates.bytecode_cache = FileSystemBytecodeCache(str(tmp_path))  # which is not to keep one language for all
    async with app.test_request_context("/"):
        for language, words in [("en", IN_ENGLISH), ("de", IN_GERMAN)] * 2:
            with speaking(language):
                assert await render_template(name) == words.format(ADA[name])
                assert await render_template(["none.html", name]) == words.format(ADA[name])
                assert await render_template_string(PAGE) == words.format(ADA["page.html"])


def test_what_depends_on_the_language_alone_is_text_in_what_is_compiled(templates: Templates) -> None:
    shown = '{{ _("Log in") }}{% trans %}Log in{% endtrans %}{{ macro(_("Log in"), hint=_("Log in")) }}'

    compiled = templates.in_language("de").compile(shown, "page.html", raw=True)

    assert compiled.count("Anmelden") == 4
    assert compiled.count("context.call") == 1


async def test_what_depends_on_more_is_worked_out_for_each_page(
    app: Quart, templates: Templates, tmp_path: Path
) -> None:
    """Jinja works out what is done with a constant, once and for everybody."""
    app.add_template_filter(lambda text: f"{text}, {request.args['who']}", "for_reader")
    app.add_template_test(lambda _text: request.args["who"] == "ada", "shown")
    (tmp_path / "page.html").write_text(
        '{{ _("Log in") | for_reader }}{% if _("Log in") is shown %}!{% endif %} {{ _("<b>") ~ _("<i>") }}'
        '{% if false %}{{ _("%(name)s") }}{% endif %} {{ _("%(name)s", **{"name": "<Ada>"}) }}'
    )
    for who, mark in [("ada", "!"), ("eve", "")] * 2:
        async with app.test_request_context(f"/?who={who}"):
            assert await render_template("page.html") == f"Log in, {who}{mark} <b><i> &lt;Ada&gt;"


@pytest.mark.parametrize(
    "page",
    [
        '{% for _ in [own] %}{{ _("Log in") }}{% endfor %}',
        '{% set gettext = own %}{{ gettext("Log in") }}',
        '{% macro say(_) %}{{ _("Log in") }}{% endmacro %}{{ say(own) }}',
    ],
)
async def test_a_template_may_call_something_else_so(
    app: Quart, templates: Templates, tmp_path: Path, page: str
) -> None:
    (tmp_path / "page.html").write_text(page)
    async with app.test_request_context("/"):
        assert await render_template("page.html", own=str.upper) == "LOG IN"


@pytest.mark.parametrize("name", ["_", "gettext"])
async def test_a_site_may_translate_in_another_way(app: Quart, templates: Templates, name: str) -> None:
    templates.globals[name] = lambda message, **_: message.upper()
    async with app.test_request_context("/"):
        assert "LOG IN" in await render_template("page.html")
        assert "LOG IN" in await render_template(["page.html"])


def test_macros_set_nothing_that_one_page_would_leave_to_the_next(app: Quart) -> None:
    source = Path(app.root_path, "templates/macros.html").read_text()

    assert {type(node) for node in app.jinja_env.parse(source).body} <= {nodes.Macro, nodes.Output}


async def test_one_place_of_a_page_takes_the_focus(app: Quart) -> None:
    for _ in range(2):
        async with app.test_request_context("/"):
            assert [take_focus() for _ in range(3)] == [True, False, False]
