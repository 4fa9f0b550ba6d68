"""Roles: what a role permits, to which users, and until when."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from quart import Quart, render_template_string
from quart.typing import TestClientProtocol
from sqlalchemy import delete

from app.auth import fresh_login_required, preserves_input, public, rate_limited, roles_accepted, roles_required
from app.auth.decorators import check_order
from app.models import User
from app.services import roles, users
from support.actions import EMAIL, create_user, enter, is_logged_in, log_in, page, read, write
from support.app import both_databases, on_mariadb, serving

IS_ADMIN = '{% if current_user is in_role("admin") %}admin{% else %}no admin{% endif %}'
IS_EITHER = '{% if current_user is in_role("admin", "auditor") %}either{% else %}neither{% endif %}'
DECORATORS: dict[str, Any] = {
    "/admin": roles_required("admin"),
    "/both": roles_required("admin", "auditor"),
    "/either": roles_accepted("admin", "auditor"),
    "/in-public": roles_required("admin"),
    "/api/admin": roles_required("admin"),
}
PAGES = ("/admin", "/both", "/either", "/in-public")
JSON = {"Accept": "application/json"}
AS_JSON: list[tuple[str, dict[str, str]]] = [("/admin", JSON), ("/in-public", JSON), ("/api/admin", {})]


@pytest.fixture
async def app(settings: dict[str, Any]) -> AsyncIterator[Quart]:
    """Serve an app with routes that need roles, and a public one whose template tests for roles."""
    async with serving(settings, add_routes) as app:
        for name in ("admin", "auditor", "editor"):
            await write(app, roles.create, name=name)
        yield app


def add_routes(app: Quart) -> None:
    for path, decorator in DECORATORS.items():
        view = decorator(content)
        endpoint = path.strip("/").replace("/", "-")
        app.add_url_rule(path, endpoint, public(view) if path == "/in-public" else view, methods=["GET", "POST"])
    app.add_url_rule("/template", "template", public(template))


async def content() -> str:
    return "for the role"


async def template() -> str:
    return await render_template_string(f"{IS_ADMIN}, {IS_EITHER}")


async def add_roles(app: Quart, *names: str, email: str = EMAIL) -> None:
    for name in names:
        await write(app, roles.add_to_user, email=email, role_name=name)


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
    permitted: list[tuple[list[str], set[str]]] = [
        ([], set()),
        (["editor"], set()),
        (["auditor"], {"/either"}),
        (["admin"], set(DECORATORS)),  # and auditor
    ]
    for names, paths in permitted:
        await add_roles(app, *names)
        assert {path for path in DECORATORS if await page(client, path) == "for the role"} == paths
    await write(app, roles.remove_from_user, email=EMAIL, role_name="auditor")
    assert await status(client, "/both") == 403


async def test_a_name_that_looks_like_the_role_is_not_the_role(
    app: Quart, client: TestClientProtocol, user: User
) -> None:
    for name in ("Admin", "admi", "admins", "admın", "auditor,admin", "*"):
        await write(app, roles.create, name=name)
        await add_roles(app, name)

    assert await status(client, "/admin") == 403
    assert await page(client, "/template") == "no admin, neither"


async def test_without_a_session_a_role_needs_a_login_also_on_a_public_endpoint(client: TestClientProtocol) -> None:
    for path in PAGES:
        response = await client.get(f"{path}?page=2")
        assert (response.status_code, response.location) == (303, f"/login?next={path}?page%3D2")
        assert (await client.post(path)).location == f"/login?next={path}"
    for path, headers in AS_JSON:
        response = await client.get(path, headers=headers)
        assert response.status_code == 401
        assert (await response.get_json())["error"]["code"] == "unauthorized"


async def test_a_user_without_the_role_gets_403_as_a_page_and_as_json(client: TestClientProtocol, user: User) -> None:
    for path in PAGES:
        shown = await page(client, path)
        assert "Access denied" in shown
        assert f'title="{EMAIL}"' in shown  # the session goes on
    assert (await client.post("/admin")).status_code == 403
    for path, headers in AS_JSON:
        response = await client.get(path, headers=headers)
        assert response.status_code == 403
        assert (await response.get_json())["error"]["code"] == "forbidden"


async def test_a_role_that_is_added_or_removed_counts_at_the_next_request(
    app: Quart, client: TestClientProtocol, user: User
) -> None:
    statuses = [await status(client, "/admin")]
    await add_roles(app, "admin")
    statuses.append(await status(client, "/admin"))
    await write(app, roles.remove_from_user, email=EMAIL, role_name="admin")
    statuses.append(await status(client, "/admin"))
    await add_roles(app, "admin")
    await write(app, roles.delete, name="admin")
    statuses.append(await status(client, "/admin"))
    await write(app, roles.create, name="admin")  # another role of this name
    statuses.append(await status(client, "/admin"))

    assert statuses == [403, 200, 403, 403, 403]
    assert await is_logged_in(client)


@on_mariadb
async def test_a_role_and_an_account_that_has_it_can_be_deleted_at_once(app: Quart, user: User) -> None:
    await add_roles(app, "admin")

    async with app.extensions["db"].connect() as other:
        await other.execute(delete(User))
        deleting = asyncio.create_task(write(app, roles.delete, name="admin"))
        await asyncio.sleep(0.3)
        assert not deleting.done()
        await other.commit()
    await deleting

    assert "admin" not in [role.name for role in await read(app, roles.list_all)]


async def test_a_closed_account_has_no_role(app: Quart, client: TestClientProtocol, user: User) -> None:
    await add_roles(app, "admin")

    await write(app, users.deactivate, email=EMAIL)

    assert (await client.get("/in-public")).location == "/login?next=/in-public"
    assert await page(client, "/template") == "no admin, neither"


async def test_every_user_has_their_own_roles(app: Quart, client: TestClientProtocol, user: User) -> None:
    await create_user(app, "bob@example.com")
    bob = await enter(app, "bob@example.com")
    await add_roles(app, "admin", "editor")
    await add_roles(app, "auditor", email="bob@example.com")

    assert (await status(client, "/admin"), await status(bob, "/admin")) == (200, 403)
    assert await page(client, "/template") == "admin, either"
    assert await page(bob, "/template") == "no admin, either"
    assert "There are no other sessions." in await page(client, "/sessions")  # a session is one row, with many roles


@pytest.mark.parametrize(
    "decorator", [roles_required("admin"), rate_limited("LOGINS_PER_IP"), fresh_login_required, preserves_input("name")]
)
def test_a_decorator_above_a_route_stops_the_start(decorator: Any) -> None:
    async def view() -> str:
        return ""

    app = Quart("below")
    app.get("/")(decorator(view))
    app.get("/twice", endpoint="twice")(decorator(view))
    check_order(app)

    app = Quart("above")
    decorator(app.get("/")(view))
    with pytest.raises(RuntimeError, match="a decorator of view has no effect: move it below the route"):
        check_order(app)
