"""What a role opens, for whom, and until when; and that a request asks only once who is asking."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from quart import Quart, render_template_string
from quart.typing import TestClientProtocol
from sqlalchemy import delete

from app.middleware import authentication
from app.middleware.public_endpoints import PUBLIC_ENDPOINTS
from app.middleware.roles import roles_accepted, roles_required
from app.models import User, db
from app.services import accounts, roles
from conftest import serving
from people import EMAIL, create_user, is_logged_in, log_in, page, read, write
from statements import sent_statements
from test_sessions import MovedClock, moved_clock

__all__ = ["moved_clock"]  # a fixture

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


@pytest.fixture
async def app(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Quart]:
    """Serve an app with routes that need roles, and a public one whose template tests for roles."""
    monkeypatch.setattr(authentication, "PUBLIC_ENDPOINTS", PUBLIC_ENDPOINTS | {"in-public", "template"})
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


@pytest.mark.parametrize(
    ("names", "opened"),
    [
        ((), set()),
        (("editor",), set()),
        (("admin",), {"/admin", "/either", "/in-public", "/api/admin"}),
        (("auditor",), {"/either"}),
        (("admin", "auditor"), set(GUARDS)),
        (ROLES, set(GUARDS)),
    ],
    ids=lambda what: " ".join(sorted(what)) or "none",
)
async def test_a_role_opens_what_it_is_for_and_nothing_else(
    app: Quart, client: TestClientProtocol, user: User, names: tuple[str, ...], opened: set[str]
) -> None:
    await app.extensions["mailer"].stop()
    await become(app, *names)

    answers = {path: await client.get(path) for path in GUARDS}

    assert {path: answer.status_code for path, answer in answers.items()} == {
        path: 200 if path in opened else 403 for path in GUARDS
    }
    for path in opened:
        assert await answers[path].get_data(as_text=True) == "come in"


async def test_a_stranger_is_asked_to_log_in_also_where_everybody_may_look(
    app: Quart, client: TestClientProtocol
) -> None:
    await become(app)

    for path in ("/admin", "/both", "/either", "/in-public"):
        answer = await client.get(f"{path}?page=2")
        assert (answer.status_code, answer.location) == (303, f"/login?next={path}?page%3D2")
        assert (await client.post(path)).location == f"/login?next={path}"


async def test_a_program_of_a_stranger_is_told_so_in_json(app: Quart, client: TestClientProtocol) -> None:
    for path, headers in (("/admin", JSON), ("/in-public", JSON), ("/api/admin", {})):
        answer = await client.get(path, headers=headers)
        assert answer.status_code == 401
        assert (await answer.get_json())["error"]["code"] == "unauthorized"


async def test_a_person_without_the_role_gets_a_page_that_says_so(
    app: Quart, client: TestClientProtocol, user: User
) -> None:
    await become(app, "editor")

    for path in ("/admin", "/both", "/either", "/in-public"):
        shown = await page(client, path)
        assert "That is not allowed" in shown
        assert f'title="{EMAIL}"' in shown  # they are still logged in
        assert "come in" not in shown
    assert (await client.post("/admin")).status_code == 403


async def test_a_program_without_the_role_is_told_so_in_json(
    app: Quart, client: TestClientProtocol, user: User
) -> None:
    for path, headers in (("/admin", JSON), ("/in-public", JSON), ("/api/admin", {})):
        answer = await client.get(path, headers=headers)
        assert answer.status_code == 403
        assert (await answer.get_json())["error"]["code"] == "forbidden"


@pytest.mark.parametrize("name", ["Admin", "admi", "admins", "admın", "auditor,admin", "*"])
async def test_a_name_that_is_like_the_role_is_not_the_role(
    app: Quart, client: TestClientProtocol, user: User, name: str
) -> None:
    async with app.app_context():
        await db.write(roles.create, name=name)
        await db.write(roles.add_to_user, email=EMAIL, role_name=name)

    assert await status(client, "/admin") == 403
    assert await page(client, "/template") == "no admin, neither"


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


async def test_a_role_that_is_deleted_opens_nothing_also_when_it_is_made_again(
    app: Quart, client: TestClientProtocol, user: User
) -> None:
    await become(app, "admin")
    assert await status(client, "/admin") == 200

    async with app.app_context():
        await db.write(roles.delete, name="admin")
        assert await status(client, "/admin") == 403
        await db.write(roles.create, name="admin")

    assert await status(client, "/admin") == 403


@pytest.mark.parametrize("database_uri", ["mariadb"], indirect=True)
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


async def test_who_is_locked_out_has_no_role_either(app: Quart, client: TestClientProtocol, user: User) -> None:
    await become(app, "admin")

    async with app.app_context():
        await db.write(accounts.deactivate, email=EMAIL)

    assert (await client.get("/in-public")).location == "/login?next=/in-public"
    assert await page(client, "/template") == "no admin, neither"


async def test_everybody_has_their_own_roles(app: Quart, client: TestClientProtocol, user: User) -> None:
    await create_user(app, "bob@example.com")
    bob = app.test_client()
    await log_in(bob, email="bob@example.com")
    await become(app, "admin")
    await become(app, "auditor", email="bob@example.com")

    assert (await status(client, "/admin"), await status(bob, "/admin")) == (200, 403)
    assert await page(client, "/template") == "admin, either"
    assert await page(bob, "/template") == "no admin, either"


async def test_a_template_knows_the_roles_of_whoever_looks(app: Quart, client: TestClientProtocol, user: User) -> None:
    await become(app)

    assert await page(app.test_client(), "/template") == "no admin, neither"
    assert await page(client, "/template") == "no admin, neither"
    await become(app, "auditor")
    assert await page(client, "/template") == "no admin, either"
    await become(app, "admin")
    assert await page(client, "/template") == "admin, either"


async def test_a_guard_keeps_what_a_view_is_called_and_what_it_takes(app: Quart, client: TestClientProtocol) -> None:
    async def show(number: int, *, word: str) -> str:
        return f"{number} {word}"

    guarded = roles_required("admin")(show)

    assert guarded.__name__ == "show"
    app.add_url_rule("/show/<int:number>/<word>", "show", guarded)
    await create_user(app)
    await log_in(client)
    await become(app, "admin")
    assert await page(client, "/show/7/ada") == "7 ada"


# One query


@pytest.mark.parametrize("names", [(), ("admin",), ROLES], ids=lambda names: f"{len(names)} roles")
async def test_the_log_in_the_user_and_the_roles_come_in_one_query(
    app: Quart, client: TestClientProtocol, user: User, names: tuple[str, ...]
) -> None:
    await app.extensions["mailer"].stop()
    await become(app, *names)

    for path in (*GUARDS, "/", "/template", "/account"):
        with sent_statements(app) as asked:
            await client.get(path)
        (query,) = asked
        assert query.startswith("SELECT")
        assert all(table in query for table in ("user_session", "user_role", "email", "role"))


async def test_a_stranger_and_a_static_file_need_no_query(app: Quart, client: TestClientProtocol, user: User) -> None:
    await app.extensions["mailer"].stop()
    with sent_statements(app) as asked:
        await page(app.test_client())
        await app.test_client().get("/admin")
        await client.get("/static/favicon.svg")

    assert asked == []


async def test_a_log_in_with_many_roles_is_one_log_in(
    app: Quart, client: TestClientProtocol, user: User, moved_clock: MovedClock
) -> None:
    await become(app, *ROLES)

    assert await is_logged_in(client)
    assert "You are logged in nowhere else." in await page(client, "/sessions")
