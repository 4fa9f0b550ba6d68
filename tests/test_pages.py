"""The pages: what stands on them for strangers and for people, and what a browser fetches for them."""

import re
from pathlib import Path
from typing import Any

import pytest
from quart import Quart, render_template_string, request
from quart.typing import TestClientProtocol

from app.middleware.static_files import Versions
from conftest import serving
from people import EMAIL, create_user, log_in, page

PATHS = ["/", "/about", "/login", "/register", "/change", "/no-such-page"]
ASSET = re.compile(r'(?:src|href)="(/static/[^"]+)"')
NASTY = """<script>alert("x")</script> & 'Ada'"""
ESCAPED = "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt; &amp; &#39;Ada&#39; &lt;ada@example.com&gt;"


@pytest.fixture
def database_uri(sqlite_template: Path, tmp_path: Path) -> str:
    """Return one database: a page does not depend on its kind."""
    (tmp_path / "app.db").write_bytes(sqlite_template.read_bytes())
    return "sqlite:///app.db"


@pytest.fixture(params=["a stranger", "a person"])
async def visitor(request: pytest.FixtureRequest, app: Quart, client: TestClientProtocol) -> TestClientProtocol:
    """Return a browser, once logged in and once not."""
    if request.param == "a person":
        await create_user(app, name="Ada")
        await log_in(client)
    return client


# The names of the original, which its readers' own templates use


@pytest.mark.parametrize(
    "name",
    ["layout.html", "macros.html", "index.html", "about.html", "layout_sections/top_navbar.html"]
    + [f"layout_sections/layout_assets_at_{place}.html" for place in ("top", "bottom")],
)
def test_templates_have_the_originals_names(app: Quart, name: str) -> None:
    assert app.jinja_env.get_template(name)


async def test_a_page_of_the_originals_kind_works(app: Quart) -> None:
    template = """{% extends "layout.html" %}
        {% block page_assets_at_top %}{{ macros.static_css_tag(filepath="css/main.css") }}{% endblock %}
        {% block page_content %}<p>Mine, {{ current_user }}</p>{% endblock %}
        {% block page_assets_at_bottom %}{{ macros.static_js_tag(filepath="js/home.js") }}{% endblock %}"""
    async with app.test_request_context("/"):
        text = await render_template_string(template)

    head, body = text.split("</head>")
    assert head.count("css/main.css") == 2
    assert body.index("<p>Mine, </p>") < body.index("js/main.js") < body.index("js/home.js")


@pytest.mark.parametrize("name", ["css/main.css", "js/main.js", "js/home.js"])
async def test_files_have_the_originals_names(client: TestClientProtocol, name: str) -> None:
    assert (await client.get(f"/static/{name}")).status_code == 200


async def test_the_front_page_has_the_originals_button(client: TestClientProtocol) -> None:
    text = await page(client)

    assert 'id="home-page-cta"' in text
    assert "js/home.js" in text


async def test_the_api_says_what_the_original_said(client: TestClientProtocol) -> None:
    answer = await client.get("/api/")

    assert (answer.status_code, await answer.get_json()) == (200, {"status": "success"})


async def test_a_page_may_name_its_visitor_without_asking_first(app: Quart, client: TestClientProtocol) -> None:
    async def say_who() -> str | None:
        return await render_template_string("Hello {{ current_user }}") if request.path == "/about" else None

    app.before_request(say_who)
    await create_user(app)
    await log_in(client)

    assert await page(client, "/about") == f"Hello {EMAIL}"


# For everybody


async def test_every_page_is_whole_for_everybody(visitor: TestClientProtocol) -> None:
    for path in PATHS:
        answer = await visitor.get(path, follow_redirects=True)
        text = await answer.get_data(as_text=True)
        assert answer.status_code in (200, 404), path
        assert text.startswith("<!doctype html>"), path
        assert re.search(r"<title>[^<·]+ · Quart Boilerplate</title>", text), path
        assert [text.count(part) for part in ("<main ", "<h1>", "</html>", "<nav ")] == [1, 1, 1, 1], path


async def test_nothing_comes_from_another_host(visitor: TestClientProtocol) -> None:
    for path in PATHS:
        text = await (await visitor.get(path, follow_redirects=True)).get_data(as_text=True)
        for address in re.findall(r'(?:src|href|action)="([^"]*)"', text):
            assert re.match(r"/(?!/)|#", address), f"{address} on {path}"
        for asset in ASSET.findall(text):
            assert b"url(http" not in await (await visitor.get(asset)).get_data(as_text=False), asset


async def test_scripts_stand_in_files_alone(visitor: TestClientProtocol) -> None:
    for path in PATHS:
        text = await (await visitor.get(path, follow_redirects=True)).get_data(as_text=True)
        assert not re.search(r"<script(?![^>]* src=)|<style|\son\w+=|\sstyle=|javascript:", text), path


async def test_a_strangers_pages_lead_to_log_in_and_register(client: TestClientProtocol) -> None:
    for path in ("/", "/about"):
        text = await page(client, path)
        assert 'href="/login"' in text
        assert 'href="/register"' in text
        assert 'action="/logout"' not in text
        assert 'href="/change"' not in text
    assert "You are not logged in." in await page(client)


async def test_a_persons_pages_lead_to_their_account(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)
    await log_in(client)

    assert 'href="/change"' in await page(client)
    for path in ("/", "/about"):
        text = await page(client, path)
        assert 'action="/logout"' in text
        assert 'href="/account"' in text
        assert EMAIL in text
        assert 'href="/login"' not in text
        assert 'href="/register"' not in text


async def test_a_person_is_shown_with_name_and_address(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app, name="Ada Lovelace")
    await log_in(client)

    assert f"Logged in as <strong>Ada Lovelace &lt;{EMAIL}&gt;</strong>" in await page(client)


async def test_a_name_cannot_write_into_the_pages(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app, name=NASTY)
    await log_in(client)

    for path in PATHS:
        text = await (await client.get(path, follow_redirects=True)).get_data(as_text=True)
        assert ESCAPED in text, path
        assert "<script>alert" not in text, path


async def test_what_was_typed_cannot_write_into_the_page(client: TestClientProtocol) -> None:
    answer = await log_in(client, email='"><script>alert(1)</script>')

    text = await answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert "&lt;script&gt;alert(1)" in text
    assert "<script>alert" not in text


# Static files


async def test_every_file_on_a_page_is_there_and_may_be_kept_for_a_year(visitor: TestClientProtocol) -> None:
    assets = {asset for path in PATHS[:4] for asset in ASSET.findall(await page(visitor, path))}

    assert len(assets) >= 4
    for asset in assets:
        answer = await visitor.get(asset)
        assert re.search(r"\?v=[0-9a-f]{12}$", asset), asset
        assert answer.status_code == 200, asset
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable", asset


@pytest.mark.parametrize("query", ["", "?v=", "?v=000000000000", "?v=../x"])
async def test_a_file_under_another_version_is_asked_for_again(client: TestClientProtocol, query: str) -> None:
    answer = await client.get(f"/static/css/main.css{query}")

    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-cache")


async def test_a_file_that_has_not_changed_is_not_sent_again(client: TestClientProtocol) -> None:
    (asset, *_) = ASSET.findall(await page(client))
    first = await client.get(asset)

    again = await client.get(asset, headers={"If-None-Match": first.headers["ETag"]})

    assert (again.status_code, await again.get_data(as_text=True)) == (304, "")
    assert "immutable" in again.headers["Cache-Control"]


def test_a_file_that_changes_gets_another_version(tmp_path: Path) -> None:
    app, versions = Quart("site", static_folder=str(tmp_path)), set()
    for text in ("a { }", "bb { }", "ccc { }"):
        (tmp_path / "main.css").write_text(text)
        versions.add(Versions(app).version("main.css"))

    assert len(versions) == 3


async def test_a_file_that_is_missing_breaks_no_page(app: Quart) -> None:
    async with app.test_request_context("/"):
        text = await render_template_string(
            "{{ url_for('static', filename='js/nope.js') }} {{ static_url('js/nope.js') }}"
        )

    assert text == "/static/js/nope.js /static/js/nope.js"


async def test_both_ways_to_link_a_file_give_the_same_url(app: Quart) -> None:
    async with app.test_request_context("/", root_path="/shop"):
        text = await render_template_string(
            "{{ url_for('static', filename='css/main.css') == static_url('css/main.css') }}"
        )

    assert text == "True"


async def test_static_files_do_not_ask_who_is_there(settings: dict[str, Any]) -> None:
    async with serving(settings | {"SQLALCHEMY_DATABASE_URI": "mysql://127.0.0.1:1/none"}) as app:
        client = app.test_client()
        client.set_cookie("localhost", "auth", "whatever")

        assert (await client.get("/static/css/main.css")).status_code == 200
