"""Quart's session: the next user of a browser does not get the data of the former one."""

from pathlib import Path
from typing import Any

import pytest
from quart import Blueprint, Quart, render_template, request, session
from quart.typing import TestClientProtocol
from sqlalchemy import delete

from app.auth import public
from app.lib.db import DatabaseUnavailable
from app.models import UserSession
from app.services import sessions
from support.actions import PASSWORD, change_password, create_user, execute, log_in, page, register
from support.app import serving

BOB = "bob@example.com"


@pytest.fixture
async def client(settings: dict[str, Any]) -> Any:
    def add_cart(app: Quart) -> None:
        @app.route("/cart", methods=["GET", "POST"])
        @public
        async def cart() -> dict[str, Any]:
            if request.method == "POST":
                session["cart"] = "a book"
            return {"cart": session.get("cart")}

    async with serving(settings, add_cart) as app:
        yield app.test_client()


async def has_cart(client: TestClientProtocol) -> bool:
    return bool((await (await client.get("/cart")).get_json())["cart"])


async def unavailable(*_: Any, **__: Any) -> None:
    raise DatabaseUnavailable("away")


async def expire_sessions(client: TestClientProtocol) -> None:
    await execute(client.app, delete(UserSession))


async def test_a_logout_clears_the_session(client: TestClientProtocol) -> None:
    await register(client)
    await client.post("/cart")
    await client.post("/logout")

    assert not await has_cart(client)


async def test_the_deletion_of_the_account_clears_the_session(client: TestClientProtocol) -> None:
    await register(client)
    await client.post("/cart")
    assert (await client.post("/account/delete", form={"password": PASSWORD})).status_code == 303

    assert not await has_cart(client)


async def test_another_user_who_logs_in_after_a_session_has_expired_gets_nothing_of_it(
    client: TestClientProtocol,
) -> None:
    await register(client)
    await client.post("/cart")
    await expire_sessions(client)
    assert await has_cart(client)  # until another user logs in
    await register(client, email=BOB)

    assert not await has_cart(client)


async def test_a_cart_of_an_anonymous_client_belongs_to_the_user_who_logs_in(client: TestClientProtocol) -> None:
    await create_user(client.app)
    await client.post("/cart")
    await log_in(client)
    assert await has_cart(client)
    await expire_sessions(client)
    await register(client, email=BOB)

    assert not await has_cart(client)


async def test_the_same_user_keeps_the_session(client: TestClientProtocol) -> None:
    await register(client)
    await client.post("/cart")
    await change_password(client)
    assert await has_cart(client)
    await expire_sessions(client)
    await log_in(client, password="another horse battery staple")

    assert await has_cart(client)


async def test_data_that_was_stored_while_the_database_was_unavailable_is_cleared_at_the_next_login(
    client: TestClientProtocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    await register(client)
    await page(client)  # shows the flashed message, so that the session is empty
    with monkeypatch.context() as patch:
        patch.setattr(sessions, "find", unavailable)
        assert (await client.post("/cart")).status_code == 200

    assert await has_cart(client)
    await expire_sessions(client)
    await register(client, email=BOB)
    assert not await has_cart(client)


async def test_a_session_without_data_has_no_cookie(client: TestClientProtocol) -> None:
    await register(client)
    await page(client)  # shows the flashed message

    assert "session" not in {cookie.name for cookie in client.cookie_jar or ()}


async def test_a_template_is_reloaded_in_development(settings: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "templates"
    folder.mkdir()
    page_bp = Blueprint("page", __name__, template_folder=str(folder))

    @page_bp.get("/page")
    @public
    async def show() -> str:
        return await render_template("page.html")

    async with serving(settings | {"LOG_FORMAT": "console"}, lambda app: app.register_blueprint(page_bp)) as app:
        for text in ("one", "two"):
            (folder / "page.html").write_text(text)
            assert await page(app.test_client(), "/page") == text
