"""Roles: what a role permits, to which users, and until when."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from quart import Quart, render_template_string
from quart.typing import TestClientProtocol
from sqlalchemy import delete

from app.auth import access
from app.auth.access import roles_accepted, roles_required
from app.lib.db import db
from app.models import User
from app.services import roles, users
from support.actions import EMAIL, create_user, is_logged_in, log_in, page, read, write
from support.app import both_databases, on_mariadb, open_to, serving

ROLES = ("admin", "auditor", "editor")
IS_ADMIN = '{% if current_user is in_role("admin") %}admin{% else %}no admin{% endif %}'
IS_EITHER = '{% if current_user is in_role("admin", "auditor") %}either{% else %}neither{% endif %}'
GUARDS: dict[str, Any] = {
    "/admin": roles_required("admin"),
    "/both": roles_required("admin", "auditor"),
    "/either": roles_accepted("admin", "auditor"),
    "/in-public": roles_required("admin"),
    "/api/admin": roles_required("admin"),
}
JSON = {"Accept": "application/json"}
AS_JSON: list[tuple[str, dict[str, str]]] = [("/admin", JSON), ("/in-public", JSON), ("/api/admin", {})]


@pytest.fixture
async def app(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Quart]:
    """Serve an app with routes that need roles, and a public one whose template tests for roles."""
    monkeypatch.setattr(access, "is_public", open_to({"in-public", "template"}))
    async with serving(settings, add_routes) as app:
        yield app


def add_routes(app: Quart) -> None:
    for path, guard in GUARDS.items():
        app.add_url_rule(path, path.strip("/").replace("/", "-"), guard(view), methods=["GET", "POST"])
    app.add_url_rule("/template", "template", template)


async def view() -> str:
    """What stands behind the guards."""
    return "come in"


async def template() -> str:
    return await render_template_string(f"{IS_ADMIN}, {IS_EITHER}")


async def become(app: Quart, *names: str, email: str = EMAIL) -> None:
    """Make the roles that there are, and give a user some of them."""
    async with app.app_context():
        for name in {*ROLES} - {str(role) for role in await db.read(roles.list_all)}:
            await db.write(roles.create, name=name)
        for name in names:
            await db.write(roles.add_to_user, email=email, role_name=name)


@pytest.fixture
async def user(app: Quart, client: TestClientProtocol) -> User:
    """Return a user without roles, who is logged in."""
    user = await create_user(app)
    await log_in(client)
    return user


async def status(client: TestClientProtocol, path: str) -> int:
    return (await client.get(path)).status_code


@both_databases
async def test_a_role_permits_what_it_is_for_and_nothing_else(
    app: Quart, client: TestClientProtocol, user: User
) -> None:
    permitted: list[tuple[str | None, set[str]]] = [
        (None, set()),
        ("editor", set()),
        ("auditor", {"/either"}),
        ("admin", set(GUARDS)),  # and auditor
    ]
    for name, paths in permitted:
        await become(app, *([name] if name else []))
        responses = {path: await client.get(path) for path in GUARDS}
        statuses = {path: response.status_code for path, response in responses.items()}
        assert statuses == {path: 200 if path in paths else 403 for path in GUARDS}
    await write(app, roles.remove_from_user, email=EMAIL, role_name="auditor")
    assert await status(client, "/both") == 403
    assert await page(client, "/admin") == "come in"


async def test_a_name_that_looks_like_the_role_is_not_the_role(
    app: Quart, client: TestClientProtocol, user: User
) -> None:
    for name in ("Admin", "admi", "admins", "admın", "auditor,admin", "*"):
        await write(app, roles.create, name=name)
        await write(app, roles.add_to_user, email=EMAIL, role_name=name)

    assert await status(client, "/admin") == 403
    assert await page(client, "/template") == "no admin, neither"


async def test_without_a_session_a_role_needs_a_login_also_on_a_public_endpoint(
    app: Quart, client: TestClientProtocol
) -> None:
    await become(app)

    for path in ("/admin", "/both", "/either", "/in-public"):
        response = await client.get(f"{path}?page=2")
        assert (response.status_code, response.location) == (303, f"/login?next={path}?page%3D2")
        assert (await client.post(path)).location == f"/login?next={path}"
    for path, headers in AS_JSON:
        response = await client.get(path, headers=headers)
        assert response.status_code == 401
        assert (await response.get_json())["error"]["code"] == "unauthorized"


async def test_a_user_without_the_role_gets_403_as_a_page_and_as_json(
    app: Quart, client: TestClientProtocol, user: User
) -> None:
    await become(app, "editor")

    for path in ("/admin", "/both", "/either", "/in-public"):
        shown = await page(client, path)
        assert "Access denied" in shown
        assert f'title="{EMAIL}"' in shown  # the session goes on
        assert "come in" not in shown
    assert (await client.post("/admin")).status_code == 403
    for path, headers in AS_JSON:
        response = await client.get(path, headers=headers)
        assert response.status_code == 403
        assert (await response.get_json())["error"]["code"] == "forbidden"


async def test_a_role_that_is_given_or_taken_counts_at_the_next_request(
    app: Quart, client: TestClientProtocol, user: User
) -> None:
    await become(app)
    assert await status(client, "/admin") == 403

    await become(app, "admin")
    assert await status(client, "/admin") == 200

    async with app.app_context():
        await db.write(roles.remove_from_user, email=EMAIL, role_name="admin")
    assert await status(client, "/admin") == 403
    assert await is_logged_in(client)


async def test_a_role_that_is_deleted_permits_nothing_also_when_it_is_created_again(
    app: Quart, client: TestClientProtocol, user: User
) -> None:
    await become(app, "admin")
    assert await status(client, "/admin") == 200

    async with app.app_context():
        await db.write(roles.delete, name="admin")
        assert await status(client, "/admin") == 403
        await db.write(roles.create, name="admin")

    assert await status(client, "/admin") == 403


@on_mariadb
async def test_a_role_and_an_account_that_has_it_can_be_deleted_at_once(app: Quart, user: User) -> None:
    await become(app, "admin")

    async with app.extensions["db"].connect() as other:
        await other.execute(delete(User))
        deleting = asyncio.create_task(write(app, roles.delete, name="admin"))
        await asyncio.sleep(0.3)
        assert not deleting.done()
        await other.commit()
    await deleting

    assert "admin" not in [role.name for role in await read(app, roles.list_all)]


async def test_a_closed_account_has_no_role(app: Quart, client: TestClientProtocol, user: User) -> None:
    await become(app, "admin")

    async with app.app_context():
        await db.write(users.deactivate, email=EMAIL)

    assert (await client.get("/in-public")).location == "/login?next=/in-public"
    assert await page(client, "/template") == "no admin, neither"


async def test_every_user_has_their_own_roles(app: Quart, client: TestClientProtocol, user: User) -> None:
    await create_user(app, "bob@example.com")
    bob = app.test_client()
    await log_in(bob, email="bob@example.com")
    await become(app, "admin")
    await become(app, "auditor", email="bob@example.com")

    assert (await status(client, "/admin"), await status(bob, "/admin")) == (200, 403)
    assert await page(client, "/template") == "admin, either"
    assert await page(bob, "/template") == "no admin, either"


async def test_a_session_of_a_user_with_many_roles_is_listed_once(
    app: Quart, client: TestClientProtocol, user: User
) -> None:
    await become(app, *ROLES)

    assert await is_logged_in(client)
    assert "There are no other sessions." in await page(client, "/sessions")
