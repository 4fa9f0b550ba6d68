"""Every error is a page of the site, or JSON: what happened, what to do next, and nothing of the inside."""

import re
from collections.abc import AsyncIterator
from itertools import product
from typing import Any

import pytest
from quart import Quart, abort, request
from quart.typing import ResponseReturnValue, TestClientProtocol
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import access
from app.lib.db import DatabaseUnavailable, db
from app.services import users
from support.actions import EMAIL, PASSWORD, create_user, register, write
from support.app import both_databases, open_to, serving

STATUSES = {
    400: "Bad request",
    401: "Login required",
    403: "Access denied",
    404: "Page not found",
    405: "Method not allowed",
    408: "Request timed out",
    413: "Too large",
    422: "Invalid input",
    429: "Too many attempts",
    500: "Something went wrong",
    503: "Service unavailable",
}
REQUEST_ID = re.compile(r"<code>([0-9a-f]{16})</code>")


@pytest.fixture
async def app(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Quart]:
    monkeypatch.setattr(access, "is_public", open_to({"fail", "crash", "no_database", "api_fail", "echo", "show"}))
    async with serving(settings, add_routes) as app:
        yield app


async def show_by_email(email: str) -> ResponseReturnValue:
    return str(await db.read(users.get_by_email, email=email))


async def execute(session: AsyncSession, statement: str) -> None:
    await session.execute(text(statement))


def add_routes(app: Quart) -> None:
    """Add pages that fail, and routes that do not check what they read."""

    async def fail(status: int) -> ResponseReturnValue:
        abort(status, description="<inside>")

    async def crash() -> ResponseReturnValue:
        raise RuntimeError("secret")

    async def no_database() -> ResponseReturnValue:
        raise DatabaseUnavailable("OperationalError: db.internal:3306")

    app.add_url_rule("/fail/<int:status>", "fail", fail)
    app.add_url_rule("/api/fail/<int:status>", "api_fail", fail)

    app.add_url_rule("/crash", "crash", crash)
    app.add_url_rule("/users/by-email/<email>", "show_by_email", show_by_email)
    app.add_url_rule("/no-database", "no_database", no_database)

    @app.post("/echo")
    async def echo() -> ResponseReturnValue:
        return {"silent": await request.get_json(silent=True), "read": await request.get_json()}

    @app.get("/users/<int:user_id>")
    async def show(user_id: int) -> ResponseReturnValue:
        return {"found": await db.read(users.find, user_id) is not None}


async def test_every_status_has_a_page_in_the_layout(client: TestClientProtocol, subtests: pytest.Subtests) -> None:
    nearest = {418: STATUSES[400], 451: STATUSES[400], 501: STATUSES[500]}
    for status, words in (STATUSES | nearest).items():
        with subtests.test(status=status):
            response = await client.get(f"/fail/{status}")
            text = await response.get_data(as_text=True)
            assert (response.status_code, response.mimetype) == (status, "text/html")
            assert f"<h1>{words}</h1>" in text
            assert f"<title>{words} · " in text
            assert 'href="/">Front page</a>' in text
            assert "css/main.css" in text
            assert REQUEST_ID.search(text)
            assert "inside" not in text


async def test_a_client_gets_the_same_as_json(client: TestClientProtocol, subtests: pytest.Subtests) -> None:
    for status, (path, accept) in product(STATUSES, (("/api/fail", "text/html"), ("/fail", "application/json"))):
        with subtests.test(status=status, path=path):
            response = await client.get(f"{path}/{status}", headers={"Accept": accept})
            body = await response.get_json()
            assert (response.status_code, response.mimetype) == (status, "application/json")
            assert set(body["error"]) == {"code", "message"}
            assert re.fullmatch("[a-z_]+", body["error"]["code"])
            assert body["error"]["message"].startswith(STATUSES[status])
            assert "inside" not in str(body)


async def test_json_is_for_clients_that_prefer_it(client: TestClientProtocol) -> None:
    for path, accept, kind in (
        ("/nope", "*/*", "text/html"),
        ("/nope", "", "text/html"),
        ("/nope", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        ("/nope", "application/json;q=0.5, text/html", "text/html"),
        ("/nope", "application/json, text/plain, */*", "text/html"),
        ("/nope", "application/json, */*;q=0.1", "application/json"),
        ("/apinope", "*/*", "text/html"),
        ("/api/nope", "*/*", "application/json"),
        ("/nope", "\u00ff;q=zz,,", "text/html"),
    ):
        response = await client.get(path, headers={"Accept": accept})
        assert (response.status_code, response.mimetype) == (404, kind), (path, accept)


async def test_a_crash_shows_nothing_of_the_inside_and_is_logged(
    client: TestClientProtocol, caplog: pytest.LogCaptureFixture
) -> None:
    for path, status, error in ("/crash", 500, "RuntimeError: secret"), ("/no-database", 503, "db.internal:3306"):
        response = await client.get(path)
        text = await response.get_data(as_text=True)

        assert (response.status_code, response.headers.get("Retry-After")) == (status, "5" if status == 503 else None)
        assert f"<h1>{STATUSES[status]}</h1>" in text
        assert not any(word in text for word in ("secret", "internal", "Traceback", "Error", "crash", ".py"))
        assert error in caplog.text
        assert REQUEST_ID.findall(text)[0] in caplog.text


async def test_a_405_lists_the_allowed_methods(client: TestClientProtocol) -> None:
    for method, path, allowed in (
        ("POST", "/", {"GET", "HEAD", "OPTIONS"}),
        ("GET", "/logout", {"POST", "OPTIONS"}),
        ("PUT", "/login", {"GET", "HEAD", "POST", "OPTIONS"}),
        ("DELETE", "/api/", {"GET", "HEAD", "OPTIONS"}),
    ):
        response = await client.open(path, method=method)  # type: ignore[call-arg] # its type forgets a default
        assert response.status_code == 405
        assert set(response.headers["Allow"].split(", ")) == allowed


async def test_a_missing_file_is_a_404(client: TestClientProtocol) -> None:
    too_long = f"/static/{'a' * 256}"
    for path in "/static/nope.css", "/static/../app_factory.py", "/static/css", too_long[:-1]:
        assert (await client.get(path)).status_code == 404, path
    assert (await client.get(too_long)).status_code == 414


async def test_json_that_cannot_be_read_is_400(client: TestClientProtocol) -> None:
    for body in b"[" * 60_000, b"\xff", b'"\xed\xa0\x80"', b"{":
        response = await client.post("/echo", data=body, headers={"Content-Type": "application/json"})
        assert response.status_code == 400, body[:9]


async def test_a_number_that_no_row_can_have_is_404(app: Quart, client: TestClientProtocol) -> None:
    user = await create_user(app)

    assert {(await client.get(f"/users/{number}")).status_code for number in (2**63, 2**64, 10**250)} == {404}
    found = [await (await client.get(f"/users/{number}")).get_json() for number in (user.id, 2**63 - 1)]
    assert found == [{"found": True}, {"found": False}]


async def test_without_a_database_a_request_with_a_session_cookie_is_a_503_page(
    app: Quart, client: TestClientProtocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_args: object, **_more: object) -> None:
        raise DatabaseUnavailable("gone")

    await register(client)
    monkeypatch.setattr(type(db), "_run", fail)

    for path in "/", "/login", "/change":
        response = await client.get(path)
        assert response.status_code == 503, path
        assert STATUSES[503] in await response.get_data(as_text=True)
    for method, path in ("GET", "/nope"), ("PUT", "/login"), ("POST", "/logout"), ("POST", "/login"):
        form = {"email": EMAIL, "password": PASSWORD}
        response = await client.open(path, method=method, form=form)  # type: ignore[call-arg]
        assert response.status_code in (404, 405, 503)
        assert "<h1>" in await response.get_data(as_text=True)
    assert (await client.get("/static/css/main.css")).status_code == 200
    for path in "/register", "/login", "/api/", "/healthz":
        assert (await app.test_client().get(path)).status_code == 200, path


async def test_a_view_that_does_not_catch_an_unknown_user_fails_while_its_own_user_exists(
    client: TestClientProtocol, caplog: pytest.LogCaptureFixture
) -> None:
    await register(client)

    assert (await client.get(f"/users/by-email/{EMAIL}")).status_code == 200
    response = await client.get("/users/by-email/unknown@example.com")

    assert response.status_code == 500
    assert "UnknownUser" in caplog.text


@both_databases
async def test_a_table_that_lacks_a_column_is_an_error_page_and_logged(
    app: Quart, client: TestClientProtocol, caplog: pytest.LogCaptureFixture
) -> None:
    await register(client)
    await write(app, execute, "ALTER TABLE user RENAME COLUMN language TO lost")
    try:
        for path in ("/account", "/missing"):
            caplog.clear()
            response = await client.get(path)
            assert response.status_code == 500
            assert STATUSES[500] in await response.get_data(as_text=True)
            assert "language" in caplog.text
    finally:
        await write(app, execute, "ALTER TABLE user RENAME COLUMN lost TO language")
