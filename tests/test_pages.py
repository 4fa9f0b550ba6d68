"""What is on each page for each user, and what a template may do."""

import gc
import re
from collections.abc import AsyncIterator
from itertools import product

import pytest
from quart import Quart, flash, render_template_string, request
from quart.typing import TestClientProtocol

from app.auth.current_user import CurrentUser
from app.lib.web.templates import take_focus
from support.actions import EMAIL, PASSWORD, create_user, enter, log_in, page

PATHS = ["/", "/login", "/register", "/change", "/no-such-page"]
ASSET = re.compile(r'(?:src|href)="(/static/[^"]+)"')
SCRIPT = """<script>alert("x")</script> & 'Ada'"""
ESCAPED = "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt; &amp; &#39;Ada&#39; &lt;ada@example.com&gt;"
LOGGED_OUT_LINKS = {'href="/login"', 'href="/register"'}
LOGGED_IN_LINKS = {'href="/account"', 'action="/logout"', EMAIL}


async def test_templates_files_and_the_api_have_the_names_of_the_original(
    app: Quart, client: TestClientProtocol
) -> None:
    assets = [f"layout_sections/layout_assets_at_{place}.html" for place in ("top", "bottom")]
    for name in ("layout.html", "macros.html", "index.html", "layout_sections/top_navbar.html", *assets):
        assert app.jinja_env.get_template(name)
    for name in ("css/main.css", "js/main.js"):
        assert (await client.get(f"/static/{name}")).status_code == 200

    assert await (await client.get("/api/")).get_json() == {"status": "success"}


async def test_a_template_of_the_original_works(app: Quart) -> None:
    template = """{% extends "layout.html" %}
        {% block page_assets_at_top %}{{ macros.static_css_tag(filepath="css/main.css") }}{% endblock %}
        {% block page_content %}<p>Mine, {{ current_user }}</p>{% endblock %}
        {% block page_assets_at_bottom %}{{ macros.static_js_tag(filepath="js/mine.js") }}{% endblock %}"""
    async with app.test_request_context("/"):
        text = await render_template_string(template)

    head, body = text.split("</head>")
    assert head.count("css/main.css") == 2
    assert body.index("<p>Mine, </p>") < body.index("js/main.js") < body.index("js/mine.js")


async def test_a_template_may_name_the_user_although_no_view_has_looked_it_up(
    app: Quart, client: TestClientProtocol
) -> None:
    async def greet() -> str | None:
        return await render_template_string("Hello {{ current_user }}") if request.path == "/account" else None

    app.before_request(greet)
    await create_user(app)
    await log_in(client)

    assert await page(client, "/account") == f"Hello {EMAIL}"


async def test_every_page_is_whole(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app, name="Ada")
    for browser, path in product((client, await enter(app)), PATHS):
        response = await browser.get(path, follow_redirects=True)
        text = await response.get_data(as_text=True)
        assert response.status_code in (200, 404), path
        assert text.startswith("<!doctype html>"), path
        assert re.search(r"<title>[^<·]+ · [^<·]+</title>", text), path
        assert [text.count(part) for part in ("<main ", "<h1>", "</html>", "<nav ")] == [1, 1, 1, 1], path
        assets = ASSET.findall(text)
        assert len(assets) >= 4, path
        for asset in assets:
            assert re.search(r"\?v=[0-9a-f]{12}$", asset), asset
            assert (await browser.get(asset)).status_code == 200, asset


async def test_each_page_links_to_the_login_or_to_the_account(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app, name="Ada Lovelace")
    user = await enter(app)
    for browser, links in (client, LOGGED_OUT_LINKS), (user, LOGGED_IN_LINKS):
        for path in ("/", "/no-such-page"):
            text = await page(browser, path)
            assert {link for link in LOGGED_OUT_LINKS | LOGGED_IN_LINKS if link in text} == links, path


async def test_text_of_a_user_cannot_write_into_the_pages(app: Quart, client: TestClientProtocol) -> None:
    refused = await log_in(client, email=f'">{SCRIPT}')
    typed = await refused.get_data(as_text=True)
    assert "&lt;script&gt;alert(" in typed
    assert "<script>alert" not in typed

    await create_user(app, name=SCRIPT)
    await log_in(client)
    for path in PATHS:
        text = await (await client.get(path, follow_redirects=True)).get_data(as_text=True)
        assert ESCAPED in text, path
        assert "<script>alert" not in text, path
    assert "<script>alert" not in await page(client, "/%3Cscript%3Ealert(1)%3C/script%3E")


async def test_a_flashed_message_is_escaped(app: Quart, client: TestClientProtocol) -> None:
    async def flash_script() -> None:
        await flash(SCRIPT)

    app.before_request(flash_script)
    text = await page(client)

    assert "&lt;script&gt;alert(" in text
    assert "<script>alert" not in text


async def test_a_browser_forgets_its_pages_when_the_user_leaves(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)
    for path in ("/logout", "/account/delete"):
        await log_in(client)
        response = await client.post(path, form={"password": PASSWORD})
        assert (response.location, response.headers.get("Clear-Site-Data")) == ("/", '"cache"')


async def test_both_ways_to_link_a_file_return_the_same_url(app: Quart) -> None:
    links = "{{ url_for('static', filename=name) == static_url(name) and static_url(name).split('?')[0] }}"
    async with app.test_request_context("/", root_path="/shop"):
        for name in ("css/main.css", "js/missing.js"):
            assert await render_template_string(links, name=name) == f"/shop/static/{name}"


async def test_a_template_can_test_whether_a_user_is_logged_in_but_a_view_must_await(app: Quart) -> None:
    template = "{% if current_user.is_authenticated %}user{% else %}anonymous{% endif %}"
    async with app.test_request_context("/"):
        assert await render_template_string(template) == "anonymous"
        with pytest.raises(RuntimeError, match="await"):
            assert CurrentUser("the token of a session that was not looked up").is_authenticated
        with pytest.raises(RuntimeError, match="await"):
            assert CurrentUser("the token of a session that was not looked up").user
        with pytest.raises(RuntimeError, match="await"):
            CurrentUser("the token of a session that was not looked up").has_role("admin")


class Thing:
    @property
    async def is_ready(self) -> bool:
        return False


async def fetch(*_values: object) -> str:
    return "fetched"


async def numbers() -> AsyncIterator[int]:
    yield 1


ASYNCHRONOUS = [
    ("{{ fetch() }}", "fetch"),
    ("{{ holder.fetch() }}", "fetch"),
    ("{% if fetch() %}yes{% endif %}", "fetch"),
    ("{% set fetched = fetch() %}", "fetch"),
    ("{{ thing.is_ready }}", "is_ready"),
    ("{% for number in numbers() %}{{ number }}{% endfor %}", "numbers"),
    ("{{ 1 | async_filter }}", "async_filter"),
    ("{% if number | async_filter %}yes{% endif %}", "async_filter"),
    ("{{ [1] | map('async_filter') | join }}", "async_filter"),
    ("{% if number is async_test %}yes{% endif %}", "async_test"),
    ("{{ forgotten }}", "fetch"),
    ('{{ fetch() ~ "!" }}', "fetch"),
    ("{% trans name = fetch() %}Hello {{ name }}{% endtrans %}", "fetch"),
]


async def test_an_asynchronous_value_in_a_template_is_an_error(app: Quart, monkeypatch: pytest.MonkeyPatch) -> None:
    app.jinja_env.filters["async_filter"] = app.jinja_env.tests["async_test"] = fetch
    values: dict[str, object] = {"thing": Thing(), "holder": {"fetch": fetch}, "number": 1}

    for template, name in ASYNCHRONOUS:
        for value in (fetch, numbers):
            if f" {value.__name__}()" in template:
                monkeypatch.setitem(app.jinja_env.globals, value.__name__, value)
        values["forgotten"] = fetch() if "forgotten" in template else ""
        async with app.test_request_context("/"):
            with pytest.raises(TypeError, match=rf"{name} is asynchronous: await in the view and pass the result"):
                await render_template_string(template, **values)
        monkeypatch.undo()
    gc.collect()  # a coroutine that was never awaited would warn, and fail this test


async def test_one_field_of_a_page_takes_the_focus(app: Quart) -> None:
    for _ in range(2):
        async with app.test_request_context("/"):
            assert [take_focus() for _ in range(3)] == [True, False, False]
