"""Templates render synchronously and refuse asynchronous values."""

import gc
from collections.abc import AsyncIterator

import pytest
from quart import Quart, render_template_string

from app.auth.current_user import CurrentUser
from app.lib.web.templates import take_focus


async def test_a_template_can_test_whether_a_user_is_logged_in_but_a_view_must_await(app: Quart) -> None:
    template = "{% if current_user.is_authenticated %}user{% else %}anonymous{% endif %}"
    async with app.test_request_context("/"):
        assert await render_template_string(template) == "anonymous"
        with pytest.raises(RuntimeError, match="await"):
            assert CurrentUser("the token of a session that was not looked up").is_authenticated


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
