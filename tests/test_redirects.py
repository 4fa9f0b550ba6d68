"""Where a form may send the browser next: to a path on this site, and nowhere else."""

import json
from pathlib import Path
from urllib.parse import urlencode, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quart import Quart
from quart.typing import TestClientProtocol

from app.views.answers import safe_path
from people import EMAIL, PASSWORD, create_user, log_in, page, register

TARGETS = json.loads((Path(__file__).parent / "vectors/redirect_targets.json").read_text())
LEAVING = [row["next"] for row in TARGETS if row["leaves_site"]]
OURS = [
    "/",
    "/account",
    "/account?tab=a&b=c#frag",
    "/view/?param=http://example.com",
    "/view?param=ftp://example.com",
    "/url%20with%20spaces/",
    "/login?next=/login?next=/login",
    "/%2f/evil.example",
    "/a%0d%0aSet-Cookie:%20x=1",
]


@pytest.fixture
def database_uri(sqlite_template: Path, tmp_path: Path) -> str:
    """Return one database: a redirect does not depend on its kind."""
    (tmp_path / "app.db").write_bytes(sqlite_template.read_bytes())
    return "sqlite:///app.db"


def stays_here(path: str) -> bool:
    """Say whether a browser that is sent to the path stays on the site, by the rules of browsers and by ours."""
    parts = urlsplit(urljoin("https://site.example/login", path))
    return path.startswith("/") and path[1:2] not in ("/", "\\") and parts[:2] == ("https", "site.example")


@pytest.mark.parametrize("target", LEAVING)
def test_a_target_that_leaves_the_site_becomes_the_front_page(target: str) -> None:
    assert safe_path(target) == "/"


@pytest.mark.parametrize("row", TARGETS, ids=lambda row: ascii(row["next"])[:40])
def test_every_known_trick_ends_on_a_path_of_ours(row: dict[str, str]) -> None:
    assert safe_path(row["next"]) in ("/", row["next"])
    assert stays_here(safe_path(row["next"]))


@given(st.text(st.sampled_from("/\\.:@?#%a \t\r\n\0é") | st.characters(), max_size=12))
def test_no_text_at_all_leaves_the_site(target: str) -> None:
    path = safe_path(target)

    assert stays_here(path)
    assert path.isascii()
    assert path.isprintable()


@pytest.mark.parametrize("target", OURS)
def test_a_path_of_ours_is_kept(target: str) -> None:
    assert safe_path(target) == target


@pytest.mark.parametrize("target", [None, "", "account", "?a=b", "#top", "/a b", "/é", "/a\\b", "/a\n"])
def test_what_is_no_path_becomes_the_front_page(target: str | None) -> None:
    assert safe_path(target) == "/"


async def test_no_form_sends_anybody_off_the_site(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)
    for number, target in enumerate(LEAVING):  # by turns: every one costs a hash
        eve = {"email": f"eve{number}@example.com", "next": target}
        answer = await (register(client, **eve) if number % 2 else log_in(client, next=target))
        assert (answer.status_code, answer.location) == (303, "/"), target


async def test_only_the_form_says_where_a_form_leads(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)
    form = {"email": EMAIL, "password": PASSWORD}

    assert (await client.post("/login?next=/about", form=form)).location == "/"
    assert (await client.post("/login?next=//evil.example", form=form | {"next": "/about"})).location == "/about"


@pytest.mark.parametrize("path", ["/login", "/register"])
async def test_a_target_that_came_twice_leads_nowhere_else(client: TestClientProtocol, path: str) -> None:
    form = {"email": EMAIL, "password": PASSWORD, "password_confirm": PASSWORD}
    body = urlencode([*form.items(), ("next", "/about"), ("next", "//evil.example")])
    doubled = await client.post(path, data=body, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert doubled.status_code == 422

    await register(client)
    answer = await client.get(f"{path}?next=/about&next=//evil.example")
    assert (answer.status_code, answer.location) == (303, "/about")


@pytest.mark.parametrize(
    "path", ["/api", "//api", "//evil.example/api", "/%2Fevil.example/api", "//change", "/\\evil/change"]
)
async def test_no_path_sends_anybody_off_the_site(client: TestClientProtocol, path: str) -> None:
    answer = await client.get("/", scope_base={"path": path})

    assert answer.status_code in (303, 308, 404)
    assert urlsplit(urljoin("http://localhost/", answer.location or "/"))[:2] == ("http", "localhost")


async def test_no_link_sends_anybody_off_the_site(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)
    await log_in(client)
    for target in LEAVING:
        for path in ("/login", "/register"):
            answer = await client.get(path, query_string={"next": target})
            assert (answer.status_code, answer.location) == (303, "/"), target


async def test_who_logs_in_or_registers_comes_to_where_they_were_going(app: Quart, client: TestClientProtocol) -> None:
    target = "/about?a=1&b=%20#c"
    registered = await register(client, next=target)
    logged_in = await log_in(app.test_client(), next=target)
    again = await client.get("/login", query_string={"next": target})

    assert [answer.location for answer in (registered, logged_in, again)] == [target] * 3


async def test_the_target_travels_through_the_form_and_between_the_forms(client: TestClientProtocol) -> None:
    login, signup = await page(client, "/login?next=/about?a=1"), await page(client, "/register?next=/about?a=1")

    assert 'name="next" type="hidden" value="/about?a=1"' in login
    assert 'name="next" type="hidden" value="/about?a=1"' in signup
    assert 'href="/register?next=/about?a%3D1"' in login
    assert 'href="/login?next=/about?a%3D1"' in signup


async def test_a_target_cannot_write_into_the_page(client: TestClientProtocol) -> None:
    answer = await client.get("/login", query_string={"next": '"><script>alert(1)</script>'})

    assert "<script>alert" not in await answer.get_data(as_text=True)


async def test_a_page_for_people_with_an_account_sends_a_stranger_to_log_in_and_back(
    app: Quart, client: TestClientProtocol
) -> None:
    await create_user(app)
    sent = await client.get("/change?a=1&b=é".replace("é", "%C3%A9"))
    assert (sent.status_code, sent.location[:12]) == (303, "/login?next=")

    form = await page(client, sent.location)
    assert 'value="/change?a=1&amp;b=%C3%A9"' in form
    answer = await log_in(client, next="/change?a=1&b=%C3%A9")
    assert answer.location == "/change?a=1&b=%C3%A9"
