"""Templates are rendered in one go: nothing in them has to be awaited, and nothing of them runs in a thread."""

import asyncio

import pytest
from quart import Quart, render_template_string, stream_template_string

from app.middleware.authentication import CurrentUser


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
